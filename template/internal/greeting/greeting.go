// Package greeting is the example to replace: what the API serves, and what keeps it.
package greeting

import (
	"context"
	"errors"
	"time"
)

// Greeting is a message for someone.
type Greeting struct {
	Name      string    `db:"name"       json:"name"`
	Message   string    `db:"message"    json:"message"`
	CreatedAt time.Time `db:"created_at" json:"createdAt"`
}

// The errors of a Store that its callers tell apart.
var (
	ErrNotFound = errors.New("there is no greeting for that name")
	ErrExists   = errors.New("there is a greeting for that name already")
)

// Store keeps one greeting for each name.
type Store interface {
	// Create returns ErrExists where the name is taken.
	Create(ctx context.Context, name, message string) (Greeting, error)
	// Get returns ErrNotFound where there is none.
	Get(ctx context.Context, name string) (Greeting, error)
	// List returns at most limit greetings in the order of their names, those behind the name after.
	List(ctx context.Context, after string, limit int) ([]Greeting, error)
	// Delete returns ErrNotFound where there is none.
	Delete(ctx context.Context, name string) error
}

// Package postgres connects to PostgreSQL.
package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// connectTimeout bounds an attempt to connect where the URL sets no bound of its own.
const connectTimeout = 5 * time.Second

// DB is a pool of connections.
type DB struct {
	*pgxpool.Pool
}

// ParseURL reads a connection URL.
func ParseURL(url string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	return config, nil
}

// Open returns a pool that connects on first use: a database that is down
// delays readiness, not the start.
func Open(ctx context.Context, config *pgxpool.Config) (*DB, error) {
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return &DB{pool}, nil
}

// Close waits until every connection is back in the pool.
func (db *DB) Close() error {
	db.Pool.Close()
	return nil
}

package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// AddOrder keeps an order.
func (db *DB) AddOrder(ctx context.Context, item string, quantity int) (id int64, err error) {
	const query = `INSERT INTO orders (item, quantity) VALUES ($1, $2) RETURNING id`
	err = db.QueryRow(ctx, query, item, quantity).Scan(&id)
	return id, err
}

// OrderedItem finds what was ordered.
func (db *DB) OrderedItem(ctx context.Context, id int64) (item string, found bool, err error) {
	err = db.QueryRow(ctx, `SELECT item FROM orders WHERE id = $1`, id).Scan(&item)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", false, nil
	}
	return item, err == nil, err
}

// Package postgres connects to PostgreSQL and migrates its schema.
package postgres

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// What holds where the URL sets nothing of its own. It sets no statement_timeout:
// a query ends on the server too when its context does, and poolers such as
// PgBouncer refuse a connection that comes with one.
const (
	maxConns       = 10
	connectTimeout = 5 * time.Second
	pingTimeout    = time.Second
)

// DB is a pool of connections.
type DB struct {
	*pgxpool.Pool
}

// ParseURL reads a connection URL.
func ParseURL(url string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("malformed (its value is not shown)") // which err may quote
	}
	if !strings.Contains(url, "pool_max_conns") {
		config.MaxConns = maxConns // pgx would count the CPUs of the node
	}
	// Connections made together, after a fail-over, do not all end together.
	config.MaxConnLifetimeJitter = cmp.Or(config.MaxConnLifetimeJitter, config.MaxConnLifetime/10)
	config.PingTimeout = cmp.Or(config.PingTimeout, pingTimeout)
	config.ConnConfig.ConnectTimeout = cmp.Or(config.ConnConfig.ConnectTimeout, connectTimeout)
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

// Ping asks the server for a sign of life. A pool that is busy says nothing
// against the server, and a replica that left for it would only burden the others.
func (db *DB) Ping(ctx context.Context) error {
	err := db.Pool.Ping(ctx)
	if stat := db.Stat(); errors.Is(err, context.DeadlineExceeded) && stat.AcquiredConns() == stat.MaxConns() {
		return nil
	}
	return err
}

// Stats returns how many connections the pool has, for metrics.
func (db *DB) Stats() (used, idle, most, timeouts int) {
	stat := db.Stat()
	return int(stat.AcquiredConns()), int(stat.IdleConns()), int(stat.MaxConns()), int(stat.CanceledAcquireCount())
}

// Close waits until every connection is back in the pool.
func (db *DB) Close() error {
	db.Pool.Close()
	return nil
}

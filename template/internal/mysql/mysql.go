// Package mysql connects to MySQL and migrates its schema.
package mysql

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
)

const (
	// defaults are parameters of the driver, which those of the URL override. A statement goes on at
	// the server after its context: where that hurts, the URL sets max_execution_time (MariaDB: max_statement_time).
	defaults       = "parseTime=true&interpolateParams=true&time_zone=%27%2B00%3A00%27&" + maxConns + "=10"
	maxConns       = "pool_max_conns"
	connectTimeout = 5 * time.Second
	// maxLifetime is short enough for the proxies and firewalls that forget idle connections.
	maxLifetime = 5 * time.Minute
)

// duplicateEntry is the number of the error for a key that is taken.
const duplicateEntry = 1062

// Config is what a URL says.
type Config struct {
	*mysql.Config

	MaxConns int
	// OpenDB makes the pool; one that traces takes the place of sql.OpenDB.
	OpenDB func(driver.Connector) *sql.DB
}

// DB is a pool of connections.
type DB struct {
	*sql.DB

	pending *atomic.Int64
}

// ParseURL reads a connection URL: mysql://user:password@host:port/database?parameters.
func ParseURL(rawURL string) (*Config, error) {
	malformed := errors.New("malformed (its value is not shown)") // which other errors may quote
	parsed, err := url.Parse(rawURL)
	if err != nil || parsed.Scheme != "mysql" || strings.Trim(parsed.Path, "/") == "" {
		return nil, malformed
	}
	address := net.JoinHostPort(parsed.Hostname(), cmp.Or(parsed.Port(), "3306"))
	// The driver takes what follows the last slash for the parameters.
	params := strings.ReplaceAll(parsed.RawQuery, "/", "%2F")
	config, err := mysql.ParseDSN("tcp(" + address + ")/?" + defaults + "&" + params)
	if err != nil {
		return nil, malformed
	}
	config.User, config.DBName = parsed.User.Username(), strings.TrimPrefix(parsed.Path, "/")
	config.Passwd, _ = parsed.User.Password()
	config.Timeout = cmp.Or(config.Timeout, connectTimeout)
	most, err := strconv.Atoi(config.Params[maxConns])
	if err != nil || most < 1 {
		return nil, malformed
	}
	delete(config.Params, maxConns) // the rest is set in each session
	return &Config{config, most, sql.OpenDB}, nil
}

// Open returns a pool that connects on first use: a database that is down
// delays readiness, not the start.
func Open(config *Config, log *slog.Logger) (*DB, error) {
	driverConfig := config.Clone()
	driverConfig.Logger = logger{log}
	dialer, err := mysql.NewConnector(driverConfig)
	if err != nil {
		return nil, err
	}
	pending := new(atomic.Int64)
	db := config.OpenDB(connector{dialer, config.Timeout, pending})
	db.SetMaxOpenConns(config.MaxConns)
	db.SetMaxIdleConns(config.MaxConns)
	db.SetConnMaxLifetime(maxLifetime)
	return &DB{db, pending}, nil
}

// Ping asks the server for a sign of life. A pool that is busy says nothing
// against the server, and a replica that left for it would only burden the others.
func (db *DB) Ping(ctx context.Context) error {
	err := db.PingContext(ctx)
	if used, _, most, _ := db.Stats(); errors.Is(err, context.DeadlineExceeded) && used == most {
		return nil
	}
	return err
}

// Stats returns how many connections the pool has, and how long requests have waited for one, for
// metrics. Of the requests that gave up, database/sql keeps no count.
func (db *DB) Stats() (used, idle, most int, waited time.Duration) {
	stats := db.DB.Stats()
	return stats.InUse - int(db.pending.Load()), stats.Idle, stats.MaxOpenConnections, stats.WaitDuration
}

// connector bounds all of a connection's start, where the driver bounds the dial alone, and counts
// the connections that are not there yet: database/sql has them in use.
type connector struct {
	driver.Connector

	timeout time.Duration
	pending *atomic.Int64
}

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	c.pending.Add(1)
	defer c.pending.Add(-1)
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.Connector.Connect(ctx)
}

// logger takes what the driver would print as text to stderr.
type logger struct {
	log *slog.Logger
}

func (l logger) Print(v ...any) {
	l.log.Debug(strings.TrimSpace(fmt.Sprintln(v...)))
}

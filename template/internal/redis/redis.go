// Package redis connects to Redis.
package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
)

// What holds where the URL sets nothing of its own. A cache that answers late is no help.
const (
	poolSize = 10
	timeout  = 2 * time.Second
)

// Client is a pool of connections.
type Client struct {
	*redis.Client
}

// ParseURL reads a connection URL.
func ParseURL(url string) (*redis.Options, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, errors.New("malformed (its value is not shown)") // which err may quote
	}
	options.PoolSize = cmp.Or(options.PoolSize, poolSize)
	options.PipelinePoolSize = cmp.Or(options.PipelinePoolSize, -1) // no second pool for pipelines
	options.DialTimeout = cmp.Or(options.DialTimeout, timeout)
	options.ReadTimeout = cmp.Or(options.ReadTimeout, timeout)
	options.WriteTimeout = cmp.Or(options.WriteTimeout, timeout)
	return options, nil
}

// Open returns a client that connects on first use.
func Open(options *redis.Options, log *slog.Logger) *Client {
	redis.SetLogger(logger{log})
	options.ContextTimeoutEnabled = true
	// Commands are retried anyway. Retried dials would outlast the timeout of a
	// check, which would hide their cause.
	options.DialerRetries = 1
	return &Client{redis.NewClient(options)}
}

// Ping asks the server for a sign of life.
func (c *Client) Ping(ctx context.Context) error {
	return c.Client.Ping(ctx).Err()
}

// Stats returns how many connections the pool has, for metrics.
func (c *Client) Stats() (used, idle, most, timeouts int) {
	stats := c.PoolStats()
	return int(stats.TotalConns - stats.IdleConns), int(stats.IdleConns), c.Options().PoolSize, int(stats.Timeouts)
}

// logger takes what go-redis would print as text to stderr.
type logger struct {
	log *slog.Logger
}

func (l logger) Printf(ctx context.Context, format string, args ...any) {
	l.log.DebugContext(ctx, fmt.Sprintf(format, args...))
}

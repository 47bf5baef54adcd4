package tracing

import (
	"strings"

	"github.com/redis/go-redis/extra/redisotel/v9"
	"github.com/redis/go-redis/v9"
)

// Redis gives each command of client a span, without its arguments: they hold your users' data.
func Redis(client redis.UniversalClient) error {
	return redisotel.InstrumentTracing(client, redisotel.WithDBStatement(false), redisotel.WithDialFilter(true),
		redisotel.WithCommandFilter(ofNoRequest),
		redisotel.WithCommandsFilter(func(commands []redis.Cmder) bool { return ofNoRequest(commands[0]) }))
}

// ofNoRequest tells health checks and what begins a connection. Their spans would have no parent.
func ofNoRequest(command redis.Cmder) bool {
	switch strings.ToLower(command.Name()) {
	case "ping", "hello", "client":
		return true
	}
	return false
}

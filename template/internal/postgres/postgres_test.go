package postgres

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"
)

// parse reads a URL that must be right.
func parse(t *testing.T, url string) *pgxpool.Config {
	t.Helper()
	config, err := ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// fakeServer returns the configuration for a server that no one answers at until
// answer is run on its connections.
func fakeServer(t *testing.T) (config *pgxpool.Config, serve func(answer func(*pgproto3.Backend))) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	serve = func(answer func(*pgproto3.Backend)) {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				backend := pgproto3.NewBackend(conn, conn)
				if _, err := backend.ReceiveStartupMessage(); err == nil {
					answer(backend)
				}
			}()
		}
	}
	return parse(t, "postgres://user@"+listener.Addr().String()+"/app?sslmode=disable"), serve
}

// answerPings lets anyone in and answers empty queries.
func answerPings(backend *pgproto3.Backend) {
	backend.Send(&pgproto3.AuthenticationOk{})
	for {
		backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		if backend.Flush() != nil {
			return
		}
		if _, err := backend.Receive(); err != nil {
			return
		}
		backend.Send(&pgproto3.EmptyQueryResponse{})
	}
}

func TestPingFollowsTheServer(t *testing.T) {
	config, serve := fakeServer(t)
	db, err := Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := db.Ping(ctx); err == nil {
		t.Error("a silent server answered")
	}

	go serve(answerPings)
	if err := db.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func TestURLOverridesDefaults(t *testing.T) {
	for url, want := range map[string]struct {
		maxConns                     int32
		connectTimeout, ping, jitter time.Duration
	}{
		"postgres://user:secret@db:5432/app": {maxConns, connectTimeout, pingTimeout, 6 * time.Minute},
		"postgresql://db/app?connect_timeout=20&pool_max_conns=4" +
			"&pool_ping_timeout=3s&pool_max_conn_lifetime_jitter=1s": {4, 20 * time.Second, 3 * time.Second, time.Second},
	} {
		config := parse(t, url)
		if config.MaxConns != want.maxConns || config.ConnConfig.ConnectTimeout != want.connectTimeout ||
			config.PingTimeout != want.ping || config.MaxConnLifetimeJitter != want.jitter {
			t.Errorf("%s: %d connections, timeouts %s and %s, jitter %s", url, config.MaxConns,
				config.ConnConfig.ConnectTimeout, config.PingTimeout, config.MaxConnLifetimeJitter)
		}
	}
}

func TestParseURLRefuses(t *testing.T) {
	for _, url := range []string{"postgres://db:port/app", "mysql://db/app"} {
		if _, err := ParseURL(url); err == nil {
			t.Errorf("%s: no error", url)
		}
	}
}

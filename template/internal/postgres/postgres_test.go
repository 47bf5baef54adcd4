package postgres

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
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

// database returns the configuration for an empty database of its own on a real server.
func database(t *testing.T) *pgxpool.Config {
	t.Helper()
	url := os.Getenv("TEST_DATABASE_URL")
	if url == "" {
		t.Skip("TEST_DATABASE_URL names no server")
	}
	server, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	name := pgx.Identifier{"test_" + time.Now().Format("150405.000000000")}.Sanitize()
	if _, err := server.Exec(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, err := server.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)")
		if err := errors.Join(err, server.Close(context.Background())); err != nil {
			t.Error(err)
		}
	})
	config := parse(t, url)
	config.ConnConfig.Database = name[1 : len(name)-1]
	return config
}

func TestQueryEndsOnTheServerWithItsContext(t *testing.T) {
	db, err := Open(t.Context(), database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Pool.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := db.Exec(ctx, "SELECT pg_sleep(60)"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	for running, wait := 1, time.Now().Add(5*time.Second); running > 0; {
		const query = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"
		if err := db.QueryRow(t.Context(), query).Scan(&running); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(wait) {
			t.Fatal("it still runs")
		}
	}
}

func TestStatsTellAnExhaustedPool(t *testing.T) {
	config := database(t)
	config.MaxConns = 1
	db, err := Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Pool.Close()
	conn, err := db.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := db.Exec(ctx, "SELECT 1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if used, idle, most, timeouts := db.Stats(); used != 1 || idle != 0 || most != 1 || timeouts != 1 {
		t.Errorf("%d used, %d idle of %d, %d timeouts", used, idle, most, timeouts)
	}
}

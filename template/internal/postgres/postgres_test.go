package postgres

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// answerPings plays a server that lets anyone in and answers empty queries.
func answerPings(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	backend := pgproto3.NewBackend(conn, conn)
	if _, err := backend.ReceiveStartupMessage(); err != nil {
		return
	}
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
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config, err := ParseURL("postgres://user@" + listener.Addr().String() + "/app?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	db, err := Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := db.Ping(ctx); err == nil {
		t.Error("a silent server answered")
	}

	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go answerPings(conn)
		}
	}()
	if err := db.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	_ = listener.Close()
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func TestParseURL(t *testing.T) {
	tests := map[string]time.Duration{
		"postgres://user:secret@db:5432/app":          connectTimeout,
		"postgresql://user@db/app?connect_timeout=20": 20 * time.Second,
		"postgres://db:port/app":                      0,
		"mysql://db/app":                              0,
	}
	for url, want := range tests {
		config, err := ParseURL(url)
		if (err != nil) != (want == 0) {
			t.Errorf("%s: %v", url, err)
		}
		if err == nil && config.ConnConfig.ConnectTimeout != want {
			t.Errorf("%s: connect timeout %s", url, config.ConnConfig.ConnectTimeout)
		}
	}
}

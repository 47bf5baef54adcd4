package mysql

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"
)

var silent = slog.New(slog.DiscardHandler)

// parse reads a URL that must be right.
func parse(t *testing.T, url string) *Config {
	t.Helper()
	config, err := ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func TestURLOverridesDefaults(t *testing.T) {
	for url, want := range map[string]struct {
		dsn      string
		maxConns int
	}{
		"mysql://user:secret@db/app": {
			"user:secret@tcp(db:3306)/app?interpolateParams=true&parseTime=true&timeout=5s&time_zone=%27%2B00%3A00%27", 10,
		},
		"mysql://us%3Aer:p%40ss%2F%3Fw%25@[::1]:3307/app?pool_max_conns=4&timeout=20s&interpolateParams=false&tls=skip-verify" +
			"&loc=Europe/Vienna&time_zone=%27Europe%2FVienna%27&max_execution_time=30000": {
			"us:er:p@ss/?w%@tcp([::1]:3307)/app?loc=Europe%2FVienna&parseTime=true&timeout=20s&tls=skip-verify" +
				"&max_execution_time=30000&time_zone=%27Europe%2FVienna%27", 4,
		},
	} {
		if config := parse(t, url); config.FormatDSN() != want.dsn || config.MaxConns != want.maxConns {
			t.Errorf("%s: %d connections to\n%s, want\n%s", url, config.MaxConns, config.FormatDSN(), want.dsn)
		}
	}
}

func TestParseURLRefuses(t *testing.T) {
	for _, url := range []string{
		"mysql://user:hunter2@db:port/app", "mysql://user:hunter2@db", "mysql://user:hunter2@db/app?timeout=hunter2",
		"mysql://user:hunter2@db/app?pool_max_conns=0", "postgres://user:hunter2@db/app", "user:hunter2@tcp(db)/app",
	} {
		if _, err := ParseURL(url); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestASilentServerIsNoBusyPool(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	db, err := Open(parse(t, "mysql://"+listener.Addr().String()+"/app?pool_max_conns=1&timeout=300ms"), silent)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := db.Ping(ctx); err == nil {
		t.Error("it answered")
	}
	begun := time.Now()
	if err := db.Ping(t.Context()); err == nil || time.Since(begun) > 5*time.Second {
		t.Errorf("after %s: %v", time.Since(begun), err)
	}
}

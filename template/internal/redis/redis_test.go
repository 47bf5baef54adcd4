package redis

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// answerPings plays a server that knows no command but PING.
func answerPings(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), "*") {
			continue
		}
		// The length of the command's name, then the name.
		lines.Scan()
		lines.Scan()
		reply := "-ERR unknown command\r\n"
		if strings.EqualFold(lines.Text(), "ping") {
			reply = "+PONG\r\n"
		}
		if _, err := conn.Write([]byte(reply)); err != nil {
			return
		}
	}
}

func TestPingFollowsTheServer(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	options, err := ParseURL("redis://" + listener.Addr().String() + "/0")
	if err != nil {
		t.Fatal(err)
	}
	client := Open(options, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := client.Ping(ctx); err == nil || time.Since(start) > time.Second {
		t.Errorf("a silent server: %v after %s", err, time.Since(start))
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
	if err := client.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	_ = listener.Close()
	if err := client.Close(); err != nil {
		t.Error(err)
	}
}

func TestPingTellsWhyItFails(t *testing.T) {
	options, err := ParseURL("redis://127.0.0.1:1/0")
	if err != nil {
		t.Fatal(err)
	}
	client := Open(options, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := client.Ping(ctx); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("nothing listens: %v", err)
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
}

func TestURLOverridesDefaults(t *testing.T) {
	for url, want := range map[string]struct {
		poolSize          int
		dial, read, write time.Duration
	}{
		"rediss://:secret@cache/1": {poolSize, timeout, timeout, timeout},
		"redis://cache?pool_size=3&dial_timeout=1s&read_timeout=3s&write_timeout=4s": {
			3, time.Second, 3 * time.Second, 4 * time.Second,
		},
	} {
		options, err := ParseURL(url)
		if err != nil {
			t.Fatal(err)
		}
		if options.PoolSize != want.poolSize || options.DialTimeout != want.dial ||
			options.ReadTimeout != want.read || options.WriteTimeout != want.write {
			t.Errorf("%s: %d connections, timeouts %s, %s and %s", url,
				options.PoolSize, options.DialTimeout, options.ReadTimeout, options.WriteTimeout)
		}
	}
}

// server returns a client of a real server.
func server(t *testing.T) *Client {
	t.Helper()
	url := os.Getenv("TEST_REDIS_URL")
	if url == "" {
		t.Skip("TEST_REDIS_URL names no server: make db starts one, make test uses it")
	}
	options, err := ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := Open(options, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestARealServer(t *testing.T) {
	client := server(t)
	if err := client.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if used, idle, most, _ := client.Stats(); used != 0 || idle != 1 || most != poolSize {
		t.Errorf("%d used, %d idle of %d", used, idle, most)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := client.BLPop(ctx, time.Minute, "nobody pushes here").Err(); err == nil || time.Since(start) > time.Second {
		t.Errorf("the context ended: %v after %s", err, time.Since(start))
	}
}

func TestParseURLRefusesOtherSchemes(t *testing.T) {
	if _, err := ParseURL("http://cache"); err == nil {
		t.Error("no error")
	}
}

func TestLibraryLogsThroughOurs(t *testing.T) {
	var output bytes.Buffer
	log := slog.New(slog.NewTextHandler(&output, &slog.HandlerOptions{Level: slog.LevelDebug}))
	logger{log}.Printf(t.Context(), "dialing %s", "cache")
	if !strings.Contains(output.String(), `"dialing cache"`) {
		t.Errorf("got %s", &output)
	}
}

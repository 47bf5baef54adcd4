package redis

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
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

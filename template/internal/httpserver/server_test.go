package httpserver

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// serve runs a server of handler; stopped yields what Serve returns.
func serve(t *testing.T, handler http.HandlerFunc) (server *Server, url string, stopped chan error) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server = New(handler, slog.New(slog.DiscardHandler))
	stopped = make(chan error, 1)
	go func() { stopped <- server.Serve(listener) }()
	return server, "http://" + listener.Addr().String(), stopped
}

func get(ctx context.Context, url string) (status int, closed bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, false, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, false, err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, response.Close, errors.Join(err, response.Body.Close())
}

func TestDrainClosesConnectionsAfterTheirResponse(t *testing.T) {
	server, url, stopped := serve(t, func(http.ResponseWriter, *http.Request) {})
	for _, draining := range []bool{false, true} {
		if draining {
			server.Drain()
		}
		status, closed, err := get(t.Context(), url)
		if err != nil || status != http.StatusOK || closed != draining {
			t.Errorf("draining %v: %d, close %v, %v", draining, status, closed, err)
		}
	}
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestShutdownWaitsForRequests(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	server, url, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		close(started)
		<-release
		w.WriteHeader(http.StatusTeapot)
	})
	result := make(chan int, 1)
	go func() {
		status, _, _ := get(t.Context(), url)
		result <- status
	}()
	<-started
	time.AfterFunc(lastRequests+50*time.Millisecond, func() { close(release) })
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if status := <-result; status != http.StatusTeapot {
		t.Errorf("the request that was running got %d", status)
	}
}

func TestShutdownAnswersWhoHasJustConnected(t *testing.T) {
	server, url, stopped := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if _, _, err := get(t.Context(), url); err != nil { // behind it in the queue: it has been accepted
		t.Fatal(err)
	}
	server.Drain()
	time.AfterFunc(lastRequests/4, func() { _, _ = io.WriteString(connection, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") })
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if answer, err := io.ReadAll(connection); !strings.HasPrefix(string(answer), "HTTP/1.1 418 ") {
		t.Errorf("got %q, %v", answer, err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestShutdownCutsRequestsOffInTheEnd(t *testing.T) {
	started := make(chan struct{})
	server, url, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(started)
		<-r.Context().Done()
	})
	result := make(chan error, 1)
	go func() {
		_, _, err := get(t.Context(), url)
		result <- err
	}()
	<-started
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if err := <-result; err == nil {
		t.Error("the request was answered")
	}
}

func TestServeReportsABrokenListener(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	if err := New(http.NotFoundHandler(), slog.New(slog.DiscardHandler)).Serve(listener); err == nil {
		t.Error("no error")
	}
}

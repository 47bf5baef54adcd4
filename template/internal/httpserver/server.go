// Package httpserver holds what every HTTP listener and every route shares.
package httpserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
)

// WriteTimeout bounds a whole answer, unless its handler calls LiftTimeLimits.
const WriteTimeout = 30 * time.Second

const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	// A proxy must close idle connections first; nginx does after 60 s.
	idleTimeout    = 75 * time.Second
	maxHeaderBytes = 64 << 10
	// lastRequests is how long connections that were just accepted have to bring theirs.
	lastRequests = 200 * time.Millisecond
)

// Server is an http.Server that can ask its clients to leave before it shuts down.
type Server struct {
	server   http.Server
	listener atomic.Pointer[net.Listener] // until Shutdown closes it
	draining atomic.Bool
}

// New returns a server of handler that logs its own troubles to log.
func New(handler http.Handler, log *slog.Logger) *Server {
	s := &Server{}
	shutdown, begin := context.WithCancel(context.Background())
	s.server = http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if s.draining.Load() {
				w.Header().Set("Connection", "close")
			}
			handler.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      WriteTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.Background(), shutdownKey{}, shutdown)
		},
	}
	s.server.RegisterOnShutdown(begin)
	return s
}

// Serve answers requests until Shutdown, then returns nil.
func (s *Server) Serve(listener net.Listener) error {
	s.listener.Store(&listener)
	if err := s.server.Serve(listener); s.listener.Load() != nil && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Drain asks each client to close its connection after the next response. New
// connections are still accepted: a load balancer may not know yet.
// SetKeepAlivesEnabled(false) would cut idle connections under a request on its way.
func (s *Server) Drain() {
	s.draining.Store(true)
}

// Shutdown waits for the running requests; where ctx ends first, it cuts them off.
func (s *Server) Shutdown(ctx context.Context) error {
	// Once net/http shuts down, it drops each request that it has not read yet: nothing new
	// is accepted before that.
	if listener := s.listener.Swap(nil); listener != nil {
		_ = (*listener).Close()
		select {
		case <-time.After(lastRequests):
		case <-ctx.Done():
		}
	}
	if err := s.server.Shutdown(ctx); err != nil {
		return fmt.Errorf("requests were cut off: %w", errors.Join(err, s.server.Close()))
	}
	return nil
}

// Keys of the context of a request, for LiftTimeLimits.
type (
	unlimitedKey struct{} // the same context without its time limit
	shutdownKey  struct{} // a context that ends when the server shuts down
)

// LiftTimeLimits is for server-sent events, a long download or a long upload: each write has
// WriteTimeout, and the request as a whole has no limit. Call it before the first read and write. The
// handler must return once c.Request.Context() ends, which it does when the client goes and when the
// server shuts down. For HEAD it has ended already.
func LiftTimeLimits(c *gin.Context) {
	limited := c.Request.Context()
	unlimited, _ := limited.Value(unlimitedKey{}).(context.Context)
	shutdown, _ := limited.Value(shutdownKey{}).(context.Context)     // none in a test without a server
	ctx, cancel := context.WithCancel(context.WithoutCancel(limited)) // keeps what middlewares have added
	context.AfterFunc(cmp.Or(unlimited, limited), cancel)
	stop := context.AfterFunc(cmp.Or(shutdown, context.Background()), cancel)
	context.AfterFunc(ctx, func() { stop() }) // when the request ends
	if c.Request.Method == http.MethodHead {
		cancel()
	}
	c.Request = c.Request.WithContext(ctx)
	c.Header("X-Accel-Buffering", "no") // or nginx would gather the answer
	control := http.NewResponseController(c.Writer)
	_ = control.SetReadDeadline(time.Time{}) // a test's recorder has none
	c.Writer = &unhurriedWriter{c.Writer, control}
}

type unhurriedWriter struct {
	gin.ResponseWriter

	control *http.ResponseController
}

func (w *unhurriedWriter) Write(data []byte) (int, error) {
	w.extend()
	return w.ResponseWriter.Write(data)
}

func (w *unhurriedWriter) WriteString(text string) (int, error) {
	w.extend()
	return w.ResponseWriter.WriteString(text)
}

func (w *unhurriedWriter) Flush() {
	w.extend()
	w.ResponseWriter.Flush()
}

func (w *unhurriedWriter) extend() {
	_ = w.control.SetWriteDeadline(time.Now().Add(WriteTimeout)) // as above
}

func (w *unhurriedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

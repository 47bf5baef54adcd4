// Package chain is no part of the service: bench/middleware.py adds it to a render.
package chain

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/rs/zerolog"

	"github.com/acme/myservice/internal/api"
	"github.com/acme/myservice/internal/httpserver"
	"github.com/acme/myservice/internal/logging"
	"github.com/acme/myservice/internal/metrics"
)

// router returns the service's router, as main makes it.
func router(b *testing.B, stdout io.Writer) *gin.Engine {
	b.Helper()
	lines := logging.New(stdout, httpserver.LogIDs()).With().
		Str("service", "myservice").Str("version", "v0.1.0").Logger()
	log := slog.New(zerolog.NewSlogHandler(lines))
	router, err := httpserver.NewRouter(log, lines, metrics.New("v0.1.0", "unknown"), nil,
		func() httpserver.Limits { return httpserver.Limits{BodyBytes: 1 << 20, Timeout: 20 * time.Second} })
	if err != nil {
		b.Fatal(err)
	}
	return router
}

// BenchmarkChain serves a greeting through growing prefixes of the middleware.
func BenchmarkChain(b *testing.B) {
	chain := router(b, io.Discard).Handlers
	step := "none"
	for count := range len(chain) + 1 {
		if count > 0 {
			step = name(chain[count-1])
		}
		b.Run(fmt.Sprintf("%d/%s", count, step), func(b *testing.B) { serve(b, io.Discard, count) })
	}
	b.Run(fmt.Sprintf("%d/pipe", len(chain)+1), func(b *testing.B) { serve(b, pipe(b), len(chain)) })
}

func serve(b *testing.B, stdout io.Writer, count int) {
	b.Helper()
	router := router(b, stdout)
	router.Handlers = router.Handlers[:count]
	api.Register(router)
	// As from the server, the context can be cancelled: derived ones cost more then.
	template := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/v1/greetings/Ada", http.NoBody)
	var request http.Request
	response := sink{}
	b.ReportAllocs()
	for b.Loop() {
		request = *template
		clear(response)
		router.ServeHTTP(response, &request)
	}
	if response["Content-Type"] == nil {
		b.Error("no greeting")
	}
}

// name returns the name of the function that made a handler, or is one.
func name(handler gin.HandlerFunc) string {
	full := runtime.FuncForPC(reflect.ValueOf(handler).Pointer()).Name()
	parts := strings.Split(full[strings.LastIndex(full, "/")+1:], ".")
	for strings.HasPrefix(parts[len(parts)-1], "func") {
		parts = parts[:len(parts)-1]
	}
	return strings.TrimSuffix(parts[len(parts)-1], "-fm")
}

// pipe returns the service's writer to a pipe that another process reads.
func pipe(b *testing.B) io.Writer {
	b.Helper()
	cat := exec.Command("cat")
	stdin, err := cat.StdinPipe()
	if err == nil {
		err = cat.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	writer := logging.NewWriter(stdin)
	b.Cleanup(func() {
		writer.Flush()
		stdin.Close()
		_ = cat.Wait()
	})
	return writer
}

// sink is a response of which only the header is kept.
type sink http.Header

func (s sink) Header() http.Header            { return http.Header(s) }
func (s sink) Write(body []byte) (int, error) { return len(body), nil }
func (s sink) WriteHeader(int)                {}

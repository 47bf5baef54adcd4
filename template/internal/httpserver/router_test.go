package httpserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
)

type recorder struct{ events []string }

func (r *recorder) RequestStarted() {
	r.events = append(r.events, "started")
}

func (r *recorder) RequestDone(method, route string, status int, _ time.Duration) {
	r.events = append(r.events, fmt.Sprint(method, " ", route, " ", status))
}

// contextHandler adds the ids of the context to each line, as the service's logger does.
type contextHandler struct {
	slog.Handler

	attrs func(context.Context) []slog.Attr
}

func (h contextHandler) Handle(ctx context.Context, record slog.Record) error {
	record.AddAttrs(h.attrs(ctx)...)
	return h.Handler.Handle(ctx, record)
}

// newRouter returns a router with one route for each way to end.
func newRouter(t *testing.T, log io.Writer, metrics Recorder, proxies ...string) *gin.Engine {
	t.Helper()
	router, err := NewRouter(slog.New(contextHandler{slog.NewJSONHandler(log, nil), LogAttrs()}), metrics, proxies)
	if err != nil {
		t.Fatal(err)
	}
	router.GET("/ok/:id", func(c *gin.Context) { c.String(http.StatusOK, c.ClientIP()) })
	router.GET("/panic", func(*gin.Context) { panic("broken") })
	router.GET("/private", func(c *gin.Context) { _ = c.Error(errors.New("password hunter2")) })
	router.GET("/public", func(c *gin.Context) {
		c.Status(http.StatusConflict)
		_ = c.Error(errors.New("already sold")).SetType(gin.ErrorTypePublic)
	})
	router.POST("/body", func(c *gin.Context) {
		if _, err := io.Copy(io.Discard, c.Request.Body); err != nil {
			_ = c.Error(err)
		}
	})
	return router
}

func TestEveryEndIsAnsweredLoggedAndCounted(t *testing.T) {
	tests := map[string]struct {
		method, path, body string
		status             int
		route              string
		answer             string
		lines              int
	}{
		"success":   {"GET", "/ok/1", "", 200, "/ok/:id", "192.0.2.1", 1},
		"not found": {"GET", "/none", "", 404, "unmatched", `{"title":"Not Found","status":404}`, 1},
		"long path": {
			"GET", "/" + strings.Repeat("%C3%A4", 50), "", 404, "unmatched",
			`{"title":"Not Found","status":404}`, 1,
		},
		"wrong slash": {"GET", "/ok/1/", "", 404, "unmatched", `{"title":"Not Found","status":404}`, 1},
		"not allowed": {"PUT", "/ok/1", "", 405, "unmatched", `{"title":"Method Not Allowed","status":405}`, 1},
		"panic":       {"GET", "/panic", "", 500, "/panic", `{"title":"Internal Server Error","status":500}`, 2},
		"private":     {"GET", "/private", "", 500, "/private", `{"title":"Internal Server Error","status":500}`, 2},
		"public":      {"GET", "/public", "", 409, "/public", `{"title":"Conflict","status":409,"detail":"already sold"}`, 1},
		"big body": {
			"POST", "/body", strings.Repeat("x", maxBodyBytes+1), 413, "/body",
			`{"title":"Request Entity Too Large","status":413}`, 2,
		},
		"body at limit": {"POST", "/body", strings.Repeat("x", maxBodyBytes), 200, "/body", "", 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			metrics := &recorder{}
			request := httptest.NewRequestWithContext(t.Context(), test.method, test.path, strings.NewReader(test.body))
			response := httptest.NewRecorder()
			newRouter(t, &log, metrics).ServeHTTP(response, request)

			if response.Code != test.status || response.Body.String() != test.answer {
				t.Errorf("answered %d %s", response.Code, response.Body)
			}
			if problem := response.Header().Get("Content-Type") == "application/problem+json"; problem != (test.status >= 400) {
				t.Errorf("Content-Type %s", response.Header().Get("Content-Type"))
			}
			want := fmt.Sprint("[started ", test.method, " ", test.route, " ", test.status, "]")
			if got := fmt.Sprint(metrics.events); got != want {
				t.Errorf("counted %s, want %s", got, want)
			}
			lines := strings.Split(strings.TrimSpace(log.String()), "\n")
			if len(lines) != test.lines {
				t.Errorf("%d log lines:\n%s", len(lines), &log)
			}
			for _, text := range lines {
				var line struct{ TraceID, SpanID, RequestID string }
				if err := json.Unmarshal([]byte(text), &line); err != nil {
					t.Fatal(err)
				}
				if len(line.TraceID) != 32 || len(line.SpanID) != 16 || line.RequestID != response.Header().Get("X-Request-ID") {
					t.Errorf("ids missing in %s", text)
				}
			}
			last := lines[len(lines)-1]
			path := fmt.Sprintf(`"path":%q`, test.path[:min(len(test.path), maxLoggedPath)])
			if unmatched := test.route == "unmatched"; strings.Contains(last, path) != unmatched {
				t.Errorf("path logged: %v in %s", !unmatched, last)
			}
			for _, field := range []string{fmt.Sprintf(`"route":%q`, test.route), fmt.Sprintf(`"status":%d`, test.status), `"durationMs":`} {
				if !strings.Contains(last, field) {
					t.Errorf("no %s in %s", field, last)
				}
			}
		})
	}
}

func TestIdsOfTheCallerAreKept(t *testing.T) {
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	tests := map[string]struct {
		traceparent, requestID string
		keepTrace, keepID      bool
	}{
		"both":             {"00-" + trace + "-00f067aa0ba902b7-00", "req-1.a_B", true, true},
		"none":             {"", "", false, false},
		"hostile id":       {"", `a" onload="`, false, false},
		"long id":          {"", strings.Repeat("a", 65), false, false},
		"short trace":      {"00-" + trace + "-00f067aa0ba902b7", "", false, false},
		"long trace":       {"00-" + trace + "-00f067aa0ba902b7-00-more", "", false, false},
		"later version":    {"01-" + trace + "-00f067aa0ba902b7-00-more", "", true, false},
		"later, run on":    {"01-" + trace + "-00f067aa0ba902b7-00more", "", false, false},
		"invalid version":  {"ff-" + trace + "-00f067aa0ba902b7-00", "", false, false},
		"upper case":       {"00-" + strings.ToUpper(trace) + "-00f067aa0ba902b7-00", "", false, false},
		"zero trace":       {"00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-00", "", false, false},
		"zero parent":      {"00-" + trace + "-0000000000000000-00", "", false, false},
		"wrong separators": {"00_" + trace + "_00f067aa0ba902b7_00", "", false, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/ok/1", nil)
			request.Header.Set("traceparent", test.traceparent)
			request.Header.Set("X-Request-ID", test.requestID)
			response := httptest.NewRecorder()
			newRouter(t, &log, &recorder{}).ServeHTTP(response, request)
			if kept := strings.Contains(log.String(), trace); kept != test.keepTrace {
				t.Errorf("trace id kept: %v in %s", kept, &log)
			}
			if id := response.Header().Get("X-Request-ID"); id == "" || (id == test.requestID) != test.keepID {
				t.Errorf("request id %q", id)
			}
		})
	}
}

func TestClientAddressIsBelievedFromTrustedProxiesOnly(t *testing.T) {
	for proxy, want := range map[string]string{"192.0.2.0/24": "203.0.113.9", "198.51.100.1": "192.0.2.1"} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/ok/1", nil)
		request.Header.Set("X-Forwarded-For", "203.0.113.9")
		response := httptest.NewRecorder()
		newRouter(t, io.Discard, &recorder{}, proxy).ServeHTTP(response, request)
		if got := response.Body.String(); got != want {
			t.Errorf("behind %s: client %s, want %s", proxy, got, want)
		}
	}
	if _, err := NewRouter(slog.New(slog.DiscardHandler), &recorder{}, []string{"nonsense"}); err == nil {
		t.Error("a proxy that is no address was accepted")
	}
}

func TestLinesOutsideRequestsShareATraceID(t *testing.T) {
	attrs := LogAttrs()
	first, second := attrs(t.Context()), attrs(t.Context())
	if len(first) != 1 || len(first[0].Value.String()) != 32 || !first[0].Equal(second[0]) {
		t.Errorf("got %v, %v", first, second)
	}
}

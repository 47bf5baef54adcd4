package httpserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/rs/zerolog"
)

type recorder struct{ events []string }

func (r *recorder) RequestStarted() {
	r.events = append(r.events, "started")
}

func (r *recorder) RequestDone(method, route string, status int, _ time.Duration) {
	r.events = append(r.events, fmt.Sprint(method, " ", route, " ", status))
}

const maxBody = 1000

// newRouter returns a router with one route for each way to end.
func newRouter(t *testing.T, log io.Writer, metrics Recorder, proxies ...string) *gin.Engine {
	t.Helper()
	limits := func() Limits { return Limits{BodyBytes: maxBody, Timeout: 50 * time.Millisecond} }
	ids := LogIDs()
	lines := zerolog.New(log).Hook(zerolog.HookFunc(func(line *zerolog.Event, _ zerolog.Level, _ string) {
		for _, id := range ids(line.GetCtx()) {
			line.Str(id.Key, id.Value.String())
		}
	}))
	router, err := NewRouter(slog.New(zerolog.NewSlogHandler(lines)), lines, metrics, proxies, limits)
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
	router.GET("/slow", func(c *gin.Context) {
		<-c.Done()
		_ = c.Error(fmt.Errorf("query: %w", c.Err()))
	})
	router.GET("/half", func(c *gin.Context) {
		c.String(http.StatusOK, "half")
		_ = c.Error(errors.New("lost the rest"))
	})
	router.POST("/body", func(c *gin.Context) {
		if _, err := io.Copy(io.Discard, c.Request.Body); err != nil {
			_ = c.Error(err)
		}
	})
	router.POST("/json", func(c *gin.Context) {
		var order struct {
			Items []struct {
				Count int `binding:"required,max=9" json:"count"`
			} `binding:"dive" json:"items"`
		}
		if err := c.ShouldBindJSON(&order); err != nil {
			_ = c.Error(err).SetType(gin.ErrorTypeBind)
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
			"POST", "/body", strings.Repeat("x", maxBody+1), 413, "/body",
			`{"title":"Request Entity Too Large","status":413}`, 2,
		},
		"slow": {"GET", "/slow", "", 503, "/slow", `{"title":"Service Unavailable","status":503}`, 2},
		"half": {"GET", "/half", "", 200, "/half", "half", 2},
		"no json": {
			"POST", "/json", `{"items":`, 400, "/json",
			`{"title":"Bad Request","status":400,"detail":"the body is not the JSON that is expected"}`, 1,
		},
		"wrong type": {
			"POST", "/json", `{"items":"many"}`, 400, "/json",
			`{"title":"Bad Request","status":400,"detail":"\"items\" must not be a JSON string"}`, 1,
		},
		"invalid": {
			"POST", "/json", `{"items":[{"count":1},{"count":10},{}]}`, 400, "/json",
			`{"title":"Bad Request","status":400,"errors":{"Items[1].Count":"must be max 9","Items[2].Count":"must be required"}}`, 1,
		},
		"big json": {
			"POST", "/json", `{"items":"` + strings.Repeat("x", maxBody) + `"}`, 413, "/json",
			`{"title":"Request Entity Too Large","status":413}`, 1,
		},
		"body at limit": {"POST", "/body", strings.Repeat("x", maxBody), 200, "/body", "", 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			metrics := &recorder{}
			request := httptest.NewRequestWithContext(t.Context(), test.method, test.path, strings.NewReader(test.body))
			response := httptest.NewRecorder()
			newRouter(t, &log, metrics).ServeHTTP(response, traced(request))

			if response.Code != test.status || response.Body.String() != test.answer {
				t.Errorf("answered %d %s", response.Code, response.Body)
			}
			if problem := response.Header().Get("Content-Type") == "application/problem+json"; problem != (test.status >= 400) {
				t.Errorf("Content-Type %s", response.Header().Get("Content-Type"))
			}
			if header := response.Header(); header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Cache-Control") != "no-store" {
				t.Errorf("headers %v", header)
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

func TestPathsAndMethodsOfClientsMakeNoRoutes(t *testing.T) {
	metrics := &recorder{}
	router := newRouter(t, io.Discard, metrics)
	prefixes := []string{"/", "/ok/", "/ok/1/"}
	for i := range 10_000 {
		path := prefixes[i%len(prefixes)] + strconv.FormatUint(rand.Uint64(), 36)
		router.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	}
	slices.Sort(metrics.events)
	want := "[GET /ok/:id 200 GET unmatched 404 started]"
	if got := fmt.Sprint(slices.Compact(metrics.events)); got != want {
		t.Errorf("counted %.1000s, want %s", got, want)
	}
}

func TestAClientThatHasGoneIsNoFaultOfTheServer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	metrics := &recorder{}
	request := httptest.NewRequestWithContext(ctx, http.MethodGet, "/slow", nil)
	newRouter(t, io.Discard, metrics).ServeHTTP(httptest.NewRecorder(), request)
	if got := fmt.Sprint(metrics.events); got != "[started GET /slow 499]" {
		t.Errorf("counted %s", got)
	}
}

func TestAPanicHalfWayCutsTheConnection(t *testing.T) {
	metrics := &recorder{}
	router := newRouter(t, io.Discard, metrics)
	router.GET("/torn", func(c *gin.Context) {
		c.String(http.StatusOK, "half")
		panic("broken")
	})
	defer func() {
		if cause := recover(); cause != http.ErrAbortHandler { //nolint:errorlint // net/http compares it alike
			t.Errorf("ended in %v", cause)
		}
		if got := fmt.Sprint(metrics.events); got != "[started GET /torn 200]" {
			t.Errorf("counted %s", got)
		}
	}()
	router.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/torn", nil))
}

func TestDeadlineEndsWhoeverWaits(t *testing.T) {
	parent, cancel := context.WithCancel(t.Context())
	waiting := &requestContext{Context: parent, deadline: time.Now().Add(time.Millisecond)}
	if at, ok := waiting.Deadline(); !ok || at != waiting.deadline {
		t.Errorf("deadline %v", at)
	}
	<-waiting.Done()
	if err := waiting.Err(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after its time: %v", err)
	}
	waiting.stop()

	stopped := &requestContext{Context: parent, deadline: time.Now().Add(time.Hour)}
	child, stopChild := context.WithCancel(stopped)
	defer stopChild()
	stopped.stop()
	<-child.Done()
	if err := stopped.Err(); !errors.Is(err, context.Canceled) {
		t.Errorf("after its request: %v", err)
	}

	unused := &requestContext{Context: parent, deadline: time.Now().Add(time.Hour)}
	unused.stop()
	cancel()
	if <-unused.Done(); !errors.Is(unused.Err(), context.Canceled) {
		t.Errorf("after its connection: %v", unused.Err())
	}
}

func TestASlowBodyTimesOut(t *testing.T) {
	response := httptest.NewRecorder()
	body := io.MultiReader(strings.NewReader("{"), iotest.ErrReader(os.ErrDeadlineExceeded))
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/json", body)
	newRouter(t, io.Discard, &recorder{}).ServeHTTP(response, request)
	if response.Code != http.StatusRequestTimeout {
		t.Errorf("answered %d", response.Code)
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
	if _, err := NewRouter(slog.New(slog.DiscardHandler), zerolog.Nop(), &recorder{}, []string{"nonsense"}, nil); err == nil {
		t.Error("a proxy that is no address was accepted")
	}
}

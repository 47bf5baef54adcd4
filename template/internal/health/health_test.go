package health

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func answer(handler http.HandlerFunc) (int, string) {
	response := httptest.NewRecorder()
	handler(response, nil)
	return response.Code, strings.TrimSpace(response.Body.String())
}

func ping(err error) func(context.Context) error {
	return func(context.Context) error {
		time.Sleep(12 * time.Millisecond)
		return err
	}
}

func ignore(string, bool) {}

func TestStateFollowsFromTheChecks(t *testing.T) {
	broken := errors.New("password hunter2 rejected")
	tests := map[string]struct {
		checks map[string]Check
		ready  int
		health int
		body   string
	}{
		"no dependency": {
			nil, 200, 200, `{"status":"UP","details":{}}`,
		},
		"all up": {
			map[string]Check{"db": {Ping: ping(nil), Critical: true}, "cache": {Ping: ping(nil)}}, 200, 200,
			`{"status":"UP","details":{"cache":{"status":"UP","responseTimeMs":12},"db":{"status":"UP","responseTimeMs":12}}}`,
		},
		"optional down": {
			map[string]Check{"db": {Ping: ping(nil), Critical: true}, "cache": {Ping: ping(broken)}}, 200, 200,
			`{"status":"DEGRADED","details":{"cache":{"status":"DOWN","responseTimeMs":12},"db":{"status":"UP","responseTimeMs":12}}}`,
		},
		"critical down": {
			map[string]Check{"db": {Ping: ping(broken), Critical: true}}, 503, 503,
			`{"status":"DOWN","details":{"db":{"status":"DOWN","responseTimeMs":12}}}`,
		},
		"no answer": {
			map[string]Check{"db": {Ping: func(ctx context.Context) error {
				<-ctx.Done()
				return ctx.Err()
			}, Critical: true}}, 503, 503,
			`{"status":"DOWN","details":{"db":{"status":"DOWN","responseTimeMs":1000}}}`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				monitor := New(slog.New(slog.DiscardHandler), test.checks, ignore)
				go monitor.Run(t.Context())
				time.Sleep(2 * time.Second)
				if code, _ := answer(monitor.Ready); code != test.ready {
					t.Errorf("ready: %d", code)
				}
				if code, body := answer(monitor.Report); code != test.health || body != test.body {
					t.Errorf("health: %d %s", code, body)
				}
				if code, _ := answer(monitor.Live); code != 200 {
					t.Errorf("live: %d", code)
				}
			})
		})
	}
}

func TestNotReadyBeforeTheFirstRoundNorInTheDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		monitor := New(slog.New(slog.DiscardHandler), map[string]Check{"cache": {Ping: ping(nil)}}, ignore)
		if code, _ := answer(monitor.Ready); code != 503 {
			t.Errorf("before the first round: %d", code)
		}
		go monitor.Run(t.Context())
		time.Sleep(time.Second)
		if code, _ := answer(monitor.Ready); code != 200 {
			t.Errorf("after the first round: %d", code)
		}
		monitor.Drain()
		if code, _ := answer(monitor.Ready); code != 503 {
			t.Errorf("while draining: %d", code)
		}
		if code, _ := answer(monitor.Report); code != 200 {
			t.Errorf("health while draining: %d", code)
		}
	})
}

func TestChangesAreNoticedAndLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var output bytes.Buffer
		var working, seen atomic.Bool
		monitor := New(slog.New(slog.NewTextHandler(&output, nil)), map[string]Check{"db": {
			Critical: true,
			Ping: func(context.Context) error {
				if !working.Load() {
					return errors.New("failed:\n\tfirst: refused\n\tsecond: refused")
				}
				return nil
			},
		}}, func(_ string, up bool) { seen.Store(up) })
		ctx, cancel := context.WithCancel(t.Context())
		go monitor.Run(ctx)

		for _, up := range []bool{false, true, false} {
			working.Store(up)
			time.Sleep(3 * checkInterval)
			if code, _ := answer(monitor.Ready); (code == 200) != up || seen.Load() != up {
				t.Errorf("dependency up %v: ready %d, reported %v", up, code, seen.Load())
			}
		}
		cancel()
		synctest.Wait()
		downs := strings.Count(output.String(), "dependency is down")
		ups := strings.Count(output.String(), "dependency is up")
		if downs != 2 || ups != 1 {
			t.Errorf("logged %d times down, %d times up:\n%s", downs, ups, &output)
		}
		if !strings.Contains(output.String(), `"failed: first: refused second: refused"`) {
			t.Errorf("the cause is not on one line:\n%s", &output)
		}
	})
}

func TestStoppingIsNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		monitor := New(slog.New(slog.DiscardHandler), map[string]Check{"db": {Ping: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}}}, func(string, bool) { t.Error("a result was recorded") })
		go monitor.Run(ctx)
		synctest.Wait()
		cancel()
		synctest.Wait()
	})
}

func TestProbe(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /up", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	server := httptest.NewServer(mux)
	defer server.Close()
	addr := server.Listener.Addr().String()
	_, port, _ := strings.Cut(addr, ":")
	tests := []struct {
		addr, path string
		ok         bool
	}{
		{addr, "/up", true},
		{":" + port, "/up", true},
		{"0.0.0.0:" + port, "/up", true},
		{addr, "/down", false},
		{addr, "/slow", false},
		{addr, "/%", false},
		{"127.0.0.1:1", "/up", false},
		{"nowhere", "/up", false},
	}
	for _, test := range tests {
		if err := Probe(t.Context(), test.addr, test.path, 200*time.Millisecond); (err == nil) != test.ok {
			t.Errorf("%s%s: %v", test.addr, test.path, err)
		}
	}
}

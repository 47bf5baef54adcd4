package health

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func ping(err error) func(context.Context) error {
	return func(context.Context) error {
		time.Sleep(12 * time.Millisecond)
		return err
	}
}

func TestStateFollowsFromTheChecks(t *testing.T) {
	broken := errors.New("password hunter2 rejected")
	tests := map[string]struct {
		checks map[string]Check
		ready  int
		health int
		body   string
	}{
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
				checker := NewChecker(slog.New(slog.DiscardHandler), test.checks, prometheus.NewRegistry())
				monitor := New(checker.State)
				go checker.Run(t.Context())
				time.Sleep(2 * time.Second)
				if code, _ := get(monitor.Ready); code != test.ready {
					t.Errorf("ready: %d", code)
				}
				if code, body := get(monitor.Report); code != test.health || body != test.body {
					t.Errorf("health: %d %s", code, body)
				}
				if code, _ := get(monitor.Live); code != 200 {
					t.Errorf("live: %d", code)
				}
			})
		})
	}
}

func TestNotReadyBeforeTheFirstRoundNorInTheDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checker := NewChecker(slog.New(slog.DiscardHandler), map[string]Check{"cache": {Ping: ping(nil)}}, prometheus.NewRegistry())
		monitor := New(checker.State)
		if code, _ := get(monitor.Ready); code != 503 {
			t.Errorf("before the first round: %d", code)
		}
		if code, _ := get(monitor.Report); code != 200 {
			t.Errorf("health before the first round: %d", code)
		}
		go checker.Run(t.Context())
		time.Sleep(time.Second)
		if code, _ := get(monitor.Ready); code != 200 {
			t.Errorf("after the first round: %d", code)
		}
		monitor.Drain()
		if code, _ := get(monitor.Ready); code != 503 {
			t.Errorf("while draining: %d", code)
		}
		if code, _ := get(monitor.Report); code != 200 {
			t.Errorf("health while draining: %d", code)
		}
	})
}

func TestChangesAreNoticedAndLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var output bytes.Buffer
		var working atomic.Bool
		registry := prometheus.NewRegistry()
		checker := NewChecker(slog.New(slog.NewTextHandler(&output, nil)), map[string]Check{"db": {
			Critical: true,
			Ping: func(context.Context) error {
				if !working.Load() {
					return errors.New("failed:\n\tfirst: refused\n\tsecond: refused")
				}
				return nil
			},
		}}, registry)
		ctx, cancel := context.WithCancel(t.Context())
		monitor := New(checker.State)
		go checker.Run(ctx)

		for _, up := range []bool{false, true, false} {
			working.Store(up)
			time.Sleep(3 * checkInterval)
			reported := testutil.ToFloat64(checker.works.WithLabelValues("db")) == 1
			if code, _ := get(monitor.Ready); (code == 200) != up || reported != up {
				t.Errorf("dependency up %v: ready %d, reported %v", up, code, reported)
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
		registry := prometheus.NewRegistry()
		checker := NewChecker(slog.New(slog.DiscardHandler), map[string]Check{"db": {Ping: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}}}, registry)
		go checker.Run(ctx)
		synctest.Wait()
		cancel()
		synctest.Wait()
		if count := testutil.CollectAndCount(registry); count != 0 {
			t.Error("a result was recorded")
		}
	})
}

// Package health tells whether the process and what it depends on work.
package health

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	checkInterval = 5 * time.Second
	checkTimeout  = time.Second
	// firstRetry doubles up to checkInterval, until a dependency is there for the first time.
	firstRetry = 250 * time.Millisecond
)

const (
	up       = "UP"
	degraded = "DEGRADED"
	down     = "DOWN"
)

// Check is a dependency that can be asked whether it works.
type Check struct {
	Ping     func(context.Context) error
	Critical bool // nothing works without it
}

// Monitor checks the dependencies in the background, so that a probe never waits for one.
type Monitor struct {
	log      *slog.Logger
	checks   map[string]Check
	checked  func(name string, up bool)
	draining atomic.Bool

	mu      sync.RWMutex
	results map[string]result
}

type result struct {
	Status         string `json:"status"`
	ResponseTimeMs int64  `json:"responseTimeMs"`
}

// New returns a monitor of checks; it calls checked after each one.
func New(log *slog.Logger, checks map[string]Check, checked func(name string, up bool)) *Monitor {
	return &Monitor{log: log, checks: checks, checked: checked, results: map[string]result{}}
}

// Run checks the dependencies until ctx ends.
func (m *Monitor) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for name, check := range m.checks {
		wg.Go(func() {
			for wait := firstRetry; ; wait = min(2*wait, checkInterval) {
				if m.check(ctx, name, check) {
					wait = checkInterval
				}
				select {
				case <-ctx.Done():
					return
				case <-time.After(wait):
				}
			}
		})
	}
	wg.Wait()
}

// check asks a dependency, and returns whether it works.
func (m *Monitor) check(ctx context.Context, name string, check Check) bool {
	pingCtx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	start := time.Now()
	err := check.Ping(pingCtx)
	if ctx.Err() != nil {
		return false // the check was called off, which says nothing about the dependency
	}
	now := result{Status: up, ResponseTimeMs: time.Since(start).Milliseconds()}
	if err != nil {
		now.Status = down
	}

	m.mu.Lock()
	before := m.results[name]
	m.results[name] = now
	m.mu.Unlock()

	m.checked(name, err == nil)
	switch {
	case now.Status == before.Status:
	case err != nil:
		// On one line, even where the error has several.
		cause := strings.Join(strings.Fields(err.Error()), " ")
		m.log.WarnContext(ctx, "dependency is down",
			slog.String("dependency", name), slog.Bool("critical", check.Critical), slog.String("error", cause))
	default:
		m.log.InfoContext(ctx, "dependency is up", slog.String("dependency", name))
	}
	return err == nil
}

// Drain makes the service not ready for good.
func (m *Monitor) Drain() {
	m.draining.Store(true)
}

// Live answers that the process runs, whatever its dependencies do: a restart mends none of them.
func (m *Monitor) Live(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": up})
}

// Ready answers whether the service can take requests.
func (m *Monitor) Ready(w http.ResponseWriter, _ *http.Request) {
	code, answer := http.StatusOK, up
	if status, details := m.state(); m.draining.Load() || status == down || len(details) < len(m.checks) {
		code, answer = http.StatusServiceUnavailable, down
	}
	writeJSON(w, code, map[string]string{"status": answer})
}

// Report answers with the state of each dependency.
func (m *Monitor) Report(w http.ResponseWriter, _ *http.Request) {
	status, details := m.state()
	code := http.StatusOK
	if status == down {
		code = http.StatusServiceUnavailable
	}
	writeJSON(w, code, struct {
		Status  string            `json:"status"`
		Details map[string]result `json:"details"`
	}{status, details})
}

// state returns the last results and what follows from them. What has not been
// checked yet counts as down.
func (m *Monitor) state() (string, map[string]result) {
	m.mu.RLock()
	details := maps.Clone(m.results)
	m.mu.RUnlock()

	status := up
	for name, check := range m.checks {
		switch {
		case details[name].Status == up:
		case check.Critical:
			return down, details
		default:
			status = degraded
		}
	}
	return status, details
}

func writeJSON(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // the client has gone
}

// Probe asks the service that listens on addr, on this machine, for path.
func Probe(ctx context.Context, addr, path string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return err
	}
	request.Host = "localhost" // the address may have none
	// Not the default transport: a proxy from the environment has no part in this.
	response, err := new(http.Transport).RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", path, response.Status)
	}
	return nil
}

// Package health tells whether the process and what it depends on work.
package health

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// What a service or a dependency is.
const (
	Up   = "UP"
	Down = "DOWN"
)

// Result is the last state of a dependency.
type Result struct {
	Status         string `json:"status"`
	ResponseTimeMs int64  `json:"responseTimeMs"`
}

// Monitor answers the probes of the platform.
type Monitor struct {
	dependencies func() (status string, checked bool, details map[string]Result)
	draining     atomic.Bool
}

// New returns a monitor. The function returns the state of the service, Up or Down or another word,
// that follows from its dependencies, and whether each has been checked; it must not wait for any. It
// may be nil.
func New(dependencies func() (status string, checked bool, details map[string]Result)) *Monitor {
	if dependencies == nil {
		dependencies = func() (string, bool, map[string]Result) { return Up, true, nil }
	}
	return &Monitor{dependencies: dependencies}
}

// Drain makes the service not ready for good.
func (m *Monitor) Drain() { m.draining.Store(true) }

// Live answers that the process runs, whatever its dependencies do: a restart mends none of them.
func (m *Monitor) Live(w http.ResponseWriter, _ *http.Request) {
	answer(w, Up, map[string]string{"status": Up})
}

// Ready answers whether the service can take requests.
func (m *Monitor) Ready(w http.ResponseWriter, _ *http.Request) {
	status := Up
	if state, checked, _ := m.dependencies(); state == Down || !checked || m.draining.Load() {
		status = Down
	}
	answer(w, status, map[string]string{"status": status})
}

// Report answers with the state of each dependency.
func (m *Monitor) Report(w http.ResponseWriter, _ *http.Request) {
	status, _, details := m.dependencies()
	if details == nil {
		details = map[string]Result{}
	}
	answer(w, status, struct {
		Status  string            `json:"status"`
		Details map[string]Result `json:"details"`
	}{status, details})
}

func answer(w http.ResponseWriter, status string, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if status == Down {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(body) // the client may have gone
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

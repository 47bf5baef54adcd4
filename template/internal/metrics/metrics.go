// Package metrics counts what the service does, in the Prometheus text format.
package metrics

import (
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// Recorder holds the metrics of the service.
type Recorder struct {
	set      *metrics.Set
	inFlight *metrics.Gauge

	mu     sync.RWMutex
	series map[labels]series
}

type labels struct {
	method, route string
	status        int
}

type series struct {
	requests *metrics.Counter
	duration *metrics.PrometheusHistogram
}

// New returns a recorder for this build of the service.
func New(version, revision string) *Recorder {
	metrics.ExposeMetadata(true)
	set := metrics.NewSet()
	set.NewGauge(fmt.Sprintf("build_info{version=%q,revision=%q,goversion=%q}", version, revision, runtime.Version()),
		func() float64 { return 1 })
	set.NewCounter(`config_reloads_total{result="success"}`)
	set.NewCounter(`config_reloads_total{result="failure"}`)
	return &Recorder{
		set:      set,
		inFlight: set.NewGauge("http_requests_in_flight", nil),
		series:   map[labels]series{},
	}
}

// Expose answers with all metrics.
func (r *Recorder) Expose(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	r.set.WritePrometheus(w)
	metrics.WriteProcessMetrics(w)
}

// ConfigReloaded counts an attempt to reload the configuration.
func (r *Recorder) ConfigReloaded(ok bool) {
	result, successful := "failure", 0.0
	if ok {
		result, successful = "success", 1
	}
	r.set.GetOrCreateCounter(fmt.Sprintf("config_reloads_total{result=%q}", result)).Inc()
	r.set.GetOrCreateGauge("config_last_reload_successful", nil).Set(successful)
}

// RequestStarted counts a request in.
func (r *Recorder) RequestStarted() {
	r.inFlight.Inc()
}

// RequestDone counts a request out. The route is a pattern: paths would make
// series without end, and so would methods that clients invent.
func (r *Recorder) RequestDone(method, route string, status int, elapsed time.Duration) {
	r.inFlight.Dec()
	s := r.lookup(labels{method: knownMethod(method), route: route, status: status})
	s.requests.Inc()
	s.duration.Update(elapsed.Seconds())
}

// DependencyChecked records whether a dependency works.
func (r *Recorder) DependencyChecked(name string, up bool) {
	value := 0.0
	if up {
		value = 1
	}
	r.set.GetOrCreateGauge(fmt.Sprintf("dependency_up{name=%q}", name), nil).Set(value)
}

// lookup finds the series of l; their names are composed only once.
func (r *Recorder) lookup(l labels) series {
	r.mu.RLock()
	s, ok := r.series[l]
	r.mu.RUnlock()
	if ok {
		return s
	}
	s = series{
		requests: r.set.GetOrCreateCounter(fmt.Sprintf(
			"http_requests_total{method=%q,route=%q,status=\"%d\"}", l.method, l.route, l.status)),
		duration: r.set.GetOrCreatePrometheusHistogram(fmt.Sprintf(
			"http_request_duration_seconds{method=%q,route=%q}", l.method, l.route)),
	}
	r.mu.Lock()
	r.series[l] = s
	r.mu.Unlock()
	return s
}

func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

// Package prometheus has as much of client_golang's interface as the service uses, over
// VictoriaMetrics/metrics, so that both can be measured under the same service.
package prometheus

import (
	"strconv"
	"strings"
	"sync"

	"github.com/VictoriaMetrics/metrics"
)

type (
	Labels      map[string]string
	CounterOpts struct{ Name, Help string }
	GaugeOpts   struct{ Name, Help string }
	// HistogramOpts has buckets that are not used: the library's own are client_golang's default.
	HistogramOpts struct {
		Name, Help string
		Buckets    []float64
	}

	Counter interface{ Inc() }
	Gauge   interface {
		Set(float64)
		Inc()
		Dec()
	}
	Observer interface{ Observe(float64) }

	CounterVec   struct{ vec[Counter] }
	GaugeVec     struct{ vec[Gauge] }
	HistogramVec struct{ vec[Observer] }
)

// What a collector of one's own needs: it is registered, and never asked.
type (
	Collector interface {
		Describe(chan<- *Desc)
		Collect(chan<- Metric)
	}
	Desc      struct{}
	Metric    interface{}
	ValueType int
)

const (
	CounterValue ValueType = iota
	GaugeValue
)

func NewDesc(string, string, []string, Labels) *Desc                 { return nil }
func DescribeByCollect(Collector, chan<- *Desc)                      {}
func MustNewConstMetric(*Desc, ValueType, float64, ...string) Metric { return nil }

// Registry is a set of metrics.
type Registry struct{ Set *metrics.Set }

type (
	Registerer interface{ MustRegister(...Collector) }
	Gatherer   = Registerer
)

func NewRegistry() *Registry {
	metrics.ExposeMetadata(true)
	return &Registry{metrics.NewSet()}
}

func (r *Registry) MustRegister(...Collector) {}

// SetOf returns what holds the metrics of r.
func SetOf(r Registerer) *metrics.Set { return r.(*Registry).Set }

func NewCounter(set *metrics.Set, o CounterOpts) Counter { return set.GetOrCreateCounter(o.Name) }
func NewGauge(set *metrics.Set, o GaugeOpts) Gauge       { return set.GetOrCreateGauge(o.Name, nil) }

func NewCounterVec(set *metrics.Set, o CounterOpts, labels []string) *CounterVec {
	return &CounterVec{vec[Counter]{name: o.Name, labels: labels, create: func(name string) Counter {
		return set.GetOrCreateCounter(name)
	}}}
}

func NewGaugeVec(set *metrics.Set, o GaugeOpts, labels []string) *GaugeVec {
	return &GaugeVec{vec[Gauge]{name: o.Name, labels: labels, create: func(name string) Gauge {
		return set.GetOrCreateGauge(name, nil)
	}}}
}

// DefBuckets are those that the service adds to.
var DefBuckets []float64

func NewHistogramVec(set *metrics.Set, o HistogramOpts, labels []string) *HistogramVec {
	return &HistogramVec{vec[Observer]{name: o.Name, labels: labels, create: func(name string) Observer {
		return observer{set.GetOrCreatePrometheusHistogram(name)}
	}}}
}

type observer struct{ *metrics.PrometheusHistogram }

func (o observer) Observe(value float64) { o.Update(value) }

// vec composes the name of a series once: the library has none, its labels are part of a name.
type vec[T any] struct {
	name   string
	labels []string
	create func(name string) T

	mu     sync.RWMutex
	series map[[4]string]T
}

func (v *vec[T]) WithLabelValues(values ...string) T {
	var key [4]string
	copy(key[:], values)
	v.mu.RLock()
	found, ok := v.series[key]
	v.mu.RUnlock()
	if ok {
		return found
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	pairs := make([]string, len(values))
	for i, value := range values {
		pairs[i] = v.labels[i] + "=" + strconv.Quote(value)
	}
	found = v.create(v.name + "{" + strings.Join(pairs, ",") + "}")
	if v.series == nil {
		v.series = map[[4]string]T{}
	}
	v.series[key] = found
	return found
}

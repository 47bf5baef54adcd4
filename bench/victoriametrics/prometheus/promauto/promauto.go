// Package promauto creates metrics in a registry.
package promauto

import (
	"github.com/VictoriaMetrics/metrics"
	"github.com/prometheus/client_golang/prometheus"
)

type Factory struct{ set *metrics.Set }

func With(r prometheus.Registerer) Factory { return Factory{prometheus.SetOf(r)} }

func (f Factory) NewCounter(o prometheus.CounterOpts) prometheus.Counter {
	return prometheus.NewCounter(f.set, o)
}

func (f Factory) NewCounterVec(o prometheus.CounterOpts, labels []string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(f.set, o, labels)
}

func (f Factory) NewCounterFunc(o prometheus.CounterOpts, read func() float64) prometheus.Gauge {
	return f.set.GetOrCreateGauge(o.Name, read)
}

func (f Factory) NewGaugeFunc(o prometheus.GaugeOpts, read func() float64) prometheus.Gauge {
	return f.set.GetOrCreateGauge(o.Name, read)
}

func (f Factory) NewGauge(o prometheus.GaugeOpts) prometheus.Gauge {
	return prometheus.NewGauge(f.set, o)
}

func (f Factory) NewGaugeVec(o prometheus.GaugeOpts, labels []string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(f.set, o, labels)
}

func (f Factory) NewHistogramVec(o prometheus.HistogramOpts, labels []string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(f.set, o, labels)
}

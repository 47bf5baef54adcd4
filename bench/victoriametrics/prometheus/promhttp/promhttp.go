// Package promhttp exposes the metrics of a registry, of Go and of the process.
package promhttp

import (
	"net/http"

	"github.com/VictoriaMetrics/metrics"
	"github.com/prometheus/client_golang/prometheus"
)

type HandlerOpts struct{}

func HandlerFor(registry prometheus.Gatherer, _ HandlerOpts) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		prometheus.SetOf(registry).WritePrometheus(w)
		metrics.WriteProcessMetrics(w)
	})
}

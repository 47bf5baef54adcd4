// Package collectors is empty: promhttp writes what the library knows of the process.
package collectors

import (
	"regexp"

	"github.com/prometheus/client_golang/prometheus"
)

type (
	GoCollectorOption    struct{}
	GoRuntimeMetricsRule struct{ Matcher *regexp.Regexp }
	ProcessCollectorOpts struct{}
)

func WithGoCollectorRuntimeMetrics(...GoRuntimeMetricsRule) GoCollectorOption {
	return GoCollectorOption{}
}

func NewGoCollector(...GoCollectorOption) prometheus.Collector      { return nil }
func NewProcessCollector(ProcessCollectorOpts) prometheus.Collector { return nil }

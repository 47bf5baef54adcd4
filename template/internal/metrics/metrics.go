// Package metrics sets up the Prometheus metrics that do not belong to one part of the service.
package metrics

import (
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// New returns the registry of this build of the service, with the metrics of Go and of the process.
func New(version, revision string) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	pauses := collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile(`^/gc/pauses:seconds$`)}
	registry.MustRegister(
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(pauses)),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	factory := promauto.With(registry)
	factory.NewGaugeVec(prometheus.GaugeOpts{
		Name: "build_info", Help: "The build that runs, always 1.",
	}, []string{"version", "revision", "goversion"}).WithLabelValues(version, revision, runtime.Version()).Set(1)
	factory.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "go_memlimit_bytes", Help: "Memory that the garbage collector tries to keep to.",
	}, func() float64 { return float64(debug.SetMemoryLimit(-1)) })
	factory.NewCounterFunc(prometheus.CounterOpts{
		Name: "go_gc_cpu_seconds_total", Help: "CPU time that the garbage collector took.",
	}, func() float64 {
		sample := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}}
		metrics.Read(sample)
		return sample[0].Value.Float64()
	})
	if _, ok := cpuStalled(); ok {
		factory.NewCounterFunc(prometheus.CounterOpts{
			Name: "process_pressure_cpu_stalled_seconds_total", Help: "Time in which all tasks of the container waited for CPU.",
		}, func() float64 { seconds, _ := cpuStalled(); return seconds })
	}
	return registry
}

var stalled = regexp.MustCompile(`full .*total=(\d+)`)

// cpuStalled reads the pressure stall information of the container's cgroup, or else of the machine.
// Not every kernel has it.
func cpuStalled() (seconds float64, ok bool) {
	for _, path := range []string{"/sys/fs/cgroup/cpu.pressure", "/proc/pressure/cpu"} {
		content, err := os.ReadFile(path)
		if match := stalled.FindSubmatch(content); err == nil && match != nil {
			microseconds, err := strconv.ParseFloat(string(match[1]), 64)
			return microseconds / 1e6, err == nil
		}
	}
	return 0, false
}

// ConfigReloads returns a function that counts an attempt to reload the configuration.
func ConfigReloads(registry prometheus.Registerer) func(ok bool) {
	total := promauto.With(registry).NewCounterVec(prometheus.CounterOpts{
		Name: "config_reloads_total", Help: "Changes of the configuration file, by result.",
	}, []string{"result"})
	success, failure := total.WithLabelValues("success"), total.WithLabelValues("failure")
	last := promauto.With(registry).NewGauge(prometheus.GaugeOpts{
		Name: "config_last_reload_successful", Help: "Whether the last change of the configuration file was accepted.",
	})
	last.Set(1)
	return func(ok bool) {
		if ok {
			success.Inc()
			last.Set(1)
		} else {
			failure.Inc()
			last.Set(0)
		}
	}
}

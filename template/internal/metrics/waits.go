package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// NewWaitCollector returns a collector of the connection pool called name, which knows how long
// requests have waited for a connection since the start, and not how many gave up.
func NewWaitCollector(name string, stats func() (used, idle, most int, waited time.Duration)) prometheus.Collector {
	return newPoolCollector(name, "wait_seconds_total", "How long requests waited for a connection, in all.",
		func() (used, idle, most int, counted float64) {
			used, idle, most, waited := stats()
			return used, idle, most, waited.Seconds()
		})
}

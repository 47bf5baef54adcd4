package metrics

import "github.com/prometheus/client_golang/prometheus"

type poolCollector struct {
	stats                   func() (used, idle, most int, counted float64)
	connections, max, count *prometheus.Desc
}

// NewPoolCollector returns a collector of the connection pool called name. Its stats are connections,
// and the requests that gave up waiting for one since the start.
func NewPoolCollector(name string, stats func() (used, idle, most, timeouts int)) prometheus.Collector {
	return newPoolCollector(name, "timeouts_total", "Requests that gave up waiting for a connection.",
		func() (used, idle, most int, counted float64) {
			used, idle, most, timeouts := stats()
			return used, idle, most, float64(timeouts)
		})
}

func newPoolCollector(name, counter, help string, stats func() (used, idle, most int, counted float64)) poolCollector {
	labels := prometheus.Labels{"pool": name}
	return poolCollector{
		stats:       stats,
		connections: prometheus.NewDesc("db_client_connections", "Connections in the pool, by state.", []string{"state"}, labels),
		max:         prometheus.NewDesc("db_client_connections_max", "The most connections that the pool may have.", nil, labels),
		count:       prometheus.NewDesc("db_client_connections_"+counter, help, nil, labels),
	}
}

func (c poolCollector) Describe(descs chan<- *prometheus.Desc) {
	prometheus.DescribeByCollect(c, descs)
}

func (c poolCollector) Collect(metrics chan<- prometheus.Metric) {
	used, idle, most, counted := c.stats()
	metrics <- prometheus.MustNewConstMetric(c.connections, prometheus.GaugeValue, float64(used), "used")
	metrics <- prometheus.MustNewConstMetric(c.connections, prometheus.GaugeValue, float64(idle), "idle")
	metrics <- prometheus.MustNewConstMetric(c.max, prometheus.GaugeValue, float64(most))
	metrics <- prometheus.MustNewConstMetric(c.count, prometheus.CounterValue, counted)
}

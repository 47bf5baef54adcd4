package metrics

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestWaitsForAConnectionAreDescribed(t *testing.T) {
	collector := NewWaitCollector("mysql", func() (used, idle, most int, waited time.Duration) {
		return 3, 1, 10, 1500 * time.Millisecond
	})
	want := `
# HELP db_client_connections_wait_seconds_total How long requests waited for a connection, in all.
# TYPE db_client_connections_wait_seconds_total counter
db_client_connections_wait_seconds_total{pool="mysql"} 1.5
`
	if err := testutil.CollectAndCompare(collector, strings.NewReader(want), "db_client_connections_wait_seconds_total"); err != nil {
		t.Error(err)
	}
	if timeouts := testutil.CollectAndCount(collector, "db_client_connections_timeouts_total"); timeouts != 0 {
		t.Error("it counts what it does not know")
	}
}

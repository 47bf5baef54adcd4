package metrics

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestAPoolIsDescribed(t *testing.T) {
	collector := NewPoolCollector("postgres", func() (used, idle, most, timeouts int) { return 3, 1, 10, 7 })
	want := `
# HELP db_client_connections Connections in the pool, by state.
# TYPE db_client_connections gauge
db_client_connections{pool="postgres",state="idle"} 1
db_client_connections{pool="postgres",state="used"} 3
# HELP db_client_connections_max The most connections that the pool may have.
# TYPE db_client_connections_max gauge
db_client_connections_max{pool="postgres"} 10
# HELP db_client_connections_timeouts_total Requests that gave up waiting for a connection.
# TYPE db_client_connections_timeouts_total counter
db_client_connections_timeouts_total{pool="postgres"} 7
`
	if err := testutil.CollectAndCompare(collector, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

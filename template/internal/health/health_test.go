package health

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func get(handler http.HandlerFunc) (int, string) {
	response := httptest.NewRecorder()
	handler(response, nil)
	return response.Code, strings.TrimSpace(response.Body.String())
}

func TestAServiceWithoutDependenciesIsReadyUntilItDrains(t *testing.T) {
	monitor := New(nil)
	if code, _ := get(monitor.Ready); code != 200 {
		t.Errorf("ready: %d", code)
	}
	monitor.Drain()
	if code, _ := get(monitor.Ready); code != 503 {
		t.Errorf("ready in the drain: %d", code)
	}
	if code, _ := get(monitor.Live); code != 200 {
		t.Errorf("alive in the drain: %d", code)
	}
	if code, body := get(monitor.Report); code != 200 || body != `{"status":"UP","details":{}}` {
		t.Errorf("health: %d %s", code, body)
	}
}

func TestProbe(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /up", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	server := httptest.NewServer(mux)
	defer server.Close()
	addr := server.Listener.Addr().String()
	_, port, _ := strings.Cut(addr, ":")
	tests := []struct {
		addr, path string
		ok         bool
	}{
		{addr, "/up", true},
		{":" + port, "/up", true},
		{"0.0.0.0:" + port, "/up", true},
		{addr, "/down", false},
		{addr, "/slow", false},
		{addr, "/%", false},
		{"127.0.0.1:1", "/up", false},
		{"nowhere", "/up", false},
	}
	for _, test := range tests {
		if err := Probe(t.Context(), test.addr, test.path, 200*time.Millisecond); (err == nil) != test.ok {
			t.Errorf("%s%s: %v", test.addr, test.path, err)
		}
	}
}

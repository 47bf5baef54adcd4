package metrics

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func expose(recorder *Recorder) string {
	response := httptest.NewRecorder()
	recorder.Expose(response, nil)
	return response.Body.String()
}

func TestExposition(t *testing.T) {
	recorder := New("v1.2.3", "abc")
	recorder.RequestStarted()
	recorder.RequestStarted()
	recorder.RequestStarted()
	recorder.RequestDone("GET", "/v1/things/:id", 200, 20*time.Millisecond)
	recorder.RequestDone("BREW", "unmatched", 404, time.Millisecond)
	recorder.ConfigReloaded(true)
	recorder.ConfigReloaded(false)
	recorder.DependencyChecked("postgres", true)
	recorder.DependencyChecked("redis", true)
	recorder.DependencyChecked("redis", false)

	text := expose(recorder)
	for _, want := range []string{
		"# TYPE http_requests_total counter\n",
		"# TYPE http_request_duration_seconds histogram\n",
		`http_requests_total{method="GET",route="/v1/things/:id",status="200"} 1` + "\n",
		`http_requests_total{method="other",route="unmatched",status="404"} 1` + "\n",
		`http_request_duration_seconds_bucket{method="GET",route="/v1/things/:id",le="0.01"} 0` + "\n",
		`http_request_duration_seconds_bucket{method="GET",route="/v1/things/:id",le="0.025"} 1` + "\n",
		"http_requests_in_flight 1\n",
		`config_reloads_total{result="success"} 1` + "\n",
		`config_reloads_total{result="failure"} 1` + "\n",
		"config_last_reload_successful 0\n",
		`dependency_up{name="postgres"} 1` + "\n",
		`dependency_up{name="redis"} 0` + "\n",
		`build_info{version="v1.2.3",revision="abc",goversion="go`,
		"\nprocess_resident_memory_bytes ",
		"\ngo_goroutines ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestRecorderIsSafeForConcurrentUse(t *testing.T) {
	recorder := New("", "")
	done := make(chan struct{})
	for range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			for range 100 {
				recorder.RequestStarted()
				recorder.RequestDone("GET", "/", 200, time.Millisecond)
				_ = expose(recorder)
			}
		}()
	}
	for range 4 {
		<-done
	}
	if want := `http_requests_total{method="GET",route="/",status="200"} 400`; !strings.Contains(expose(recorder), want) {
		t.Errorf("no %q", want)
	}
}

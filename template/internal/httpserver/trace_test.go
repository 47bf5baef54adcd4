package httpserver

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// traced returns a request that has a trace.
func traced(request *http.Request) *http.Request {
	return request
}

func TestIdsOfTheCallerAreKept(t *testing.T) {
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	tests := map[string]struct {
		traceparent, requestID string
		keepTrace, keepID      bool
	}{
		"both":             {"00-" + trace + "-00f067aa0ba902b7-00", "req-1.a_B", true, true},
		"none":             {"", "", false, false},
		"hostile id":       {"", `a" onload="`, false, false},
		"long id":          {"", strings.Repeat("a", 65), false, false},
		"short trace":      {"00-" + trace + "-00f067aa0ba902b7", "", false, false},
		"long trace":       {"00-" + trace + "-00f067aa0ba902b7-00-more", "", false, false},
		"later version":    {"01-" + trace + "-00f067aa0ba902b7-00-more", "", true, false},
		"later, run on":    {"01-" + trace + "-00f067aa0ba902b7-00more", "", false, false},
		"invalid version":  {"ff-" + trace + "-00f067aa0ba902b7-00", "", false, false},
		"upper case":       {"00-" + strings.ToUpper(trace) + "-00f067aa0ba902b7-00", "", false, false},
		"zero trace":       {"00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-00", "", false, false},
		"zero parent":      {"00-" + trace + "-0000000000000000-00", "", false, false},
		"wrong separators": {"00_" + trace + "_00f067aa0ba902b7_00", "", false, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/ok/1", nil)
			request.Header.Set("traceparent", test.traceparent)
			request.Header.Set("X-Request-ID", test.requestID)
			response := httptest.NewRecorder()
			newRouter(t, &log, &recorder{}).ServeHTTP(response, request)
			if kept := strings.Contains(log.String(), trace); kept != test.keepTrace {
				t.Errorf("trace id kept: %v in %s", kept, &log)
			}
			if id := response.Header().Get("X-Request-ID"); id == "" || (id == test.requestID) != test.keepID {
				t.Errorf("request id %q", id)
			}
		})
	}
}

func TestLinesOutsideRequestsShareATraceID(t *testing.T) {
	attrs := LogIDs()
	first, second := attrs(t.Context()), attrs(t.Context())
	if len(first) != 1 || len(first[0].Value.String()) != 32 || !first[0].Equal(second[0]) {
		t.Errorf("got %v, %v", first, second)
	}
}

func FuzzTraceparent(f *testing.F) {
	f.Add("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	f.Add("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more")
	f.Add("00-00000000000000000000000000000000-00f067aa0ba902b7-01")
	f.Fuzz(func(t *testing.T, header string) {
		id := parseTraceparent(header)
		valid := len(id) == 32 && strings.Trim(id, "0123456789abcdef") == "" && strings.Trim(id, "0") != "" && header[3:35] == id
		if id != "" && !valid {
			t.Errorf("%q gave %q", header, id)
		}
	})
}

package httpserver

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"
)

const traceID = "4bf92f3577b34da6a3ce929d0e0e4736"

// traced returns a request that has a trace, which is not sampled.
func traced(request *http.Request) *http.Request {
	trace128, _ := trace.TraceIDFromHex(traceID)
	span, _ := trace.SpanIDFromHex("00f067aa0ba902b7")
	context := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace128, SpanID: span})
	return request.WithContext(trace.ContextWithSpanContext(request.Context(), context))
}

func TestLinesCarryTheSpanAndTheRequestID(t *testing.T) {
	for sent, kept := range map[string]bool{"req-1.a_B": true, "": false, `a" onload="`: false, strings.Repeat("a", 65): false} {
		var log bytes.Buffer
		request := traced(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/ok/1", nil))
		request.Header.Set("X-Request-ID", sent)
		response := httptest.NewRecorder()
		newRouter(t, &log, &recorder{}).ServeHTTP(response, request)
		id := response.Header().Get("X-Request-ID")
		if id == "" || (id == sent) != kept {
			t.Errorf("sent %q, got %q", sent, id)
		}
		for _, want := range []string{`"traceId":"` + traceID, `"spanId":"00f067aa0ba902b7"`, `"requestId":"` + id} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("no %s in %s", want, &log)
			}
		}
		if request.Pattern != "/ok/:id" {
			t.Errorf("the span would be named %q", request.Pattern)
		}
	}
}

func TestLinesOutsideRequestsShareATraceID(t *testing.T) {
	attrs := LogIDs()
	first, second := attrs(t.Context()), attrs(t.Context())
	if len(first) != 1 || len(first[0].Value.String()) != 32 || !first[0].Equal(second[0]) {
		t.Errorf("got %v, %v", first, second)
	}
}

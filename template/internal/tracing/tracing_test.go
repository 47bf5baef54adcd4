package tracing

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
)

const (
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	parent  = "00-" + traceID + "-00f067aa0ba902b7-"
)

// serve answers a request that brings a traceparent, and returns the span it ran in.
func serve(t *testing.T, traceparent string) trace.SpanContext {
	t.Helper()
	var span trace.SpanContext
	handler := Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		span = trace.SpanContextFromContext(r.Context())
	}))
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	request.Header.Set("traceparent", traceparent)
	handler.ServeHTTP(httptest.NewRecorder(), request)
	return span
}

func TestSpansAreSentToTheCollector(t *testing.T) {
	var received atomic.Pointer[[]byte]
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		received.Store(&body)
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	flush, err := Start(t.Context(), "shop", "v1.2.3", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}

	if span := serve(t, parent+"01"); span.TraceID().String() != traceID || !span.IsSampled() {
		t.Errorf("the trace was not continued: %v", span)
	}
	flush(t.Context())
	body := received.Load()
	if body == nil {
		t.Fatal("no span was sent")
	}
	for _, want := range []string{"shop", "v1.2.3"} {
		if !bytes.Contains(*body, []byte(want)) {
			t.Errorf("no %s in what was sent", want)
		}
	}
}

func TestATraceThatIsNotSampledKeepsItsID(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	flush, err := Start(t.Context(), "shop", "v1.2.3", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if span := serve(t, parent+"00"); span.TraceID().String() != traceID || span.IsSampled() {
		t.Errorf("got %v", span)
	}
	flush(t.Context())
}

func TestTroubleIsLogged(t *testing.T) {
	var log bytes.Buffer
	flush, err := Start(t.Context(), "shop", "v1.2.3", slog.New(slog.NewJSONHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	otel.Handle(errors.New("collector is away"))
	if !bytes.Contains(log.Bytes(), []byte("collector is away")) {
		t.Errorf("logged %s", &log)
	}
	flush(t.Context())
}

func TestBadAttributesAreRefused(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "nonsense")
	if _, err := Start(context.Background(), "shop", "v1.2.3", slog.New(slog.DiscardHandler)); err == nil {
		t.Error("no error")
	}
}

package httpserver

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/http"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"
)

// identify returns the id of a request: that of its caller where it brings one,
// else a new one. The trace has begun before.
func identify(c *gin.Context) string {
	id := c.GetHeader(requestIDHeader)
	if !validRequestID(id) {
		id = newID(16)
	}
	c.Header(requestIDHeader, id)
	if route := c.FullPath(); route != "" {
		c.Request.Pattern = route // otelhttp names the span after it
		trace.SpanFromContext(c.Request.Context()).SetAttributes(semconv.HTTPRoute(route))
	}
	return id
}

// LogIDs returns the function that finds the span and the request a context
// belongs to. Outside any span all contexts share one trace id.
func LogIDs() func(context.Context) []slog.Attr {
	process := slog.String("traceId", newID(16))
	return func(ctx context.Context) []slog.Attr {
		span := trace.SpanContextFromContext(ctx)
		if !span.IsValid() {
			return []slog.Attr{process}
		}
		attrs := []slog.Attr{
			slog.String("traceId", span.TraceID().String()),
			slog.String("spanId", span.SpanID().String()),
		}
		if id, ok := ctx.Value(idKey{}).(string); ok {
			attrs = append(attrs, slog.String("requestId", id))
		}
		return attrs
	}
}

// NewTransport returns base, or http.DefaultTransport for nil, which gives each call a span
// and tells other services the trace that it belongs to.
func NewTransport(base http.RoundTripper) http.RoundTripper {
	return otelhttp.NewTransport(base)
}

func newID(size int) string {
	id := make([]byte, size)
	_, _ = rand.Read(id) // never fails
	return hex.EncodeToString(id)
}

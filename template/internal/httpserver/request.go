package httpserver

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/netip"
	"regexp"
	"strings"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

const requestIDHeader = "X-Request-Id"

// validRequestID tells what is harmless in a log.
var validRequestID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`).MatchString

// requestID returns the id of a request: its caller's where that is harmless, else a new one.
func requestID(c *gin.Context) string {
	id := c.GetHeader(requestIDHeader)
	if !validRequestID(id) {
		id = rand.Text()
	}
	c.Header(requestIDHeader, id)
	return id
}

// traced returns the context of a request with its trace: the one that has begun, else its
// caller's by W3C Trace Context, else a new one, which nobody is asked to record.
func traced(r *http.Request) context.Context {
	ctx := r.Context()
	if trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
	if trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	var ids trace.SpanContextConfig
	_, _ = rand.Read(ids.TraceID[:]) // never fails
	_, _ = rand.Read(ids.SpanID[:])
	return trace.ContextWithSpanContext(ctx, trace.NewSpanContext(ids))
}

// withoutPorts drops the ports that some gateways, such as Azure's, add to the addresses of clients:
// gin takes no such address. Of several lines gin reads the first, which the client may have sent.
func withoutPorts(header http.Header) {
	for _, name := range []string{"X-Forwarded-For", "X-Real-Ip"} {
		if len(header[name]) == 0 {
			continue
		}
		addresses := strings.Split(strings.Join(header[name], ","), ",")
		for i, address := range addresses {
			addresses[i] = strings.TrimSpace(address)
			if address, err := netip.ParseAddrPort(addresses[i]); err == nil {
				addresses[i] = address.Addr().String()
			}
		}
		header.Set(name, strings.Join(addresses, ", "))
	}
}

package httpserver

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"math/rand/v2"
	"strings"

	"github.com/gin-gonic/gin"
)

const (
	requestIDHeader    = "X-Request-ID"
	requestIDMaxLength = 64
)

type attrsKey struct{}

// identify gives a request its ids: the trace and the request id of its
// caller where it brings them, else new ones.
func identify(c *gin.Context) {
	traceID := parseTraceparent(c.GetHeader("traceparent"))
	if traceID == "" {
		traceID = newID(16)
	}
	requestID := c.GetHeader(requestIDHeader)
	if !validRequestID(requestID) {
		requestID = newID(16)
	}
	c.Header(requestIDHeader, requestID)
	c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), attrsKey{}, []slog.Attr{
		slog.String("traceId", traceID),
		slog.String("spanId", newID(8)),
		slog.String("requestId", requestID),
	}))
	c.Next()
}

// LogAttrs returns the function that finds the ids of the request a context
// belongs to. Outside any request all contexts share one trace id.
func LogAttrs() func(context.Context) []slog.Attr {
	process := []slog.Attr{slog.String("traceId", newID(16))}
	return func(ctx context.Context) []slog.Attr {
		if attrs, ok := ctx.Value(attrsKey{}).([]slog.Attr); ok {
			return attrs
		}
		return process
	}
}

// parseTraceparent returns the trace id of a W3C traceparent header, or "" for an invalid one.
func parseTraceparent(header string) string {
	const length = len("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	if len(header) < length || header[2] != '-' || header[35] != '-' || header[52] != '-' {
		return ""
	}
	version, traceID, parentID, flags := header[:2], header[3:35], header[36:52], header[53:length]
	// Later versions may append fields.
	if len(header) > length && (version == "00" || header[length] != '-') {
		return ""
	}
	if version == "ff" || !consistsOf(version+traceID+parentID+flags, "0123456789abcdef") ||
		consistsOf(traceID, "0") || consistsOf(parentID, "0") {
		return ""
	}
	return traceID
}

func validRequestID(id string) bool {
	return id != "" && len(id) <= requestIDMaxLength &&
		consistsOf(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
}

func consistsOf(text, characters string) bool {
	return strings.Trim(text, characters) == ""
}

// newID returns size random bytes in hex; size is a multiple of 8.
func newID(size int) string {
	id := make([]byte, 0, size)
	for len(id) < size {
		id = binary.BigEndian.AppendUint64(id, rand.Uint64()) //nolint:gosec // ids are unique, not secret
	}
	return hex.EncodeToString(id)
}

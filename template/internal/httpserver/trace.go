package httpserver

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"

	"github.com/gin-gonic/gin"
)

// ids are what each log line of a request carries, and what calls on its behalf pass on.
type ids struct {
	attrs       [3]slog.Attr
	traceparent string // the caller's, if it is valid
}

// identify returns the ids of a request: the trace and the request id of its
// caller where it brings them, else new ones.
func identify(c *gin.Context) *ids {
	trace, span, request := newIDs()
	traceparent := c.GetHeader(traceparentHeader)
	if callers := parseTraceparent(traceparent); callers != "" {
		trace = callers
	} else {
		traceparent = ""
	}
	if callers := c.GetHeader(requestIDHeader); validRequestID(callers) {
		request = callers
	}
	c.Header(requestIDHeader, request)
	return &ids{
		[3]slog.Attr{slog.String("traceId", trace), slog.String("spanId", span), slog.String("requestId", request)},
		traceparent,
	}
}

// NewTransport returns base, or http.DefaultTransport for nil, which tells other services
// the trace that the context of a call belongs to.
func NewTransport(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return transport{base}
}

type transport struct{ http.RoundTripper }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if ids, ok := r.Context().Value(idKey{}).(*ids); ok {
		traceparent := ids.traceparent
		if traceparent == "" {
			// Begun here. Whoever records traces may record this one.
			traceparent = "00-" + ids.attrs[0].Value.String() + "-" + ids.attrs[1].Value.String() + "-01"
		}
		r = r.Clone(r.Context()) // the caller's own is not to be changed
		r.Header.Set(traceparentHeader, traceparent)
	}
	return t.RoundTripper.RoundTrip(r) //nolint:wrapcheck // as if it were called itself
}

// LogIDs returns the function that finds the ids of the request a context
// belongs to. Outside any request all contexts share one trace id.
func LogIDs() func(context.Context) []slog.Attr {
	trace, _, _ := newIDs()
	process := []slog.Attr{slog.String("traceId", trace)}
	return func(ctx context.Context) []slog.Attr {
		if ids, ok := ctx.Value(idKey{}).(*ids); ok {
			return ids.attrs[:]
		}
		return process
	}
}

const traceparentHeader = "Traceparent"

// traceparentPattern is that of W3C Trace Context, in which later versions may append fields.
var traceparentPattern = regexp.MustCompile(`\A([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?\z`)

// parseTraceparent returns the trace id of a traceparent header, or "" for an invalid one.
func parseTraceparent(header string) string {
	match := traceparentPattern.FindStringSubmatch(header)
	if match == nil || match[1] == "ff" || match[1] == "00" && match[4] != "" ||
		strings.Trim(match[2], "0") == "" || strings.Trim(match[3], "0") == "" {
		return ""
	}
	return match[2]
}

// newIDs returns ids that are unique, not secret. A request that begins a trace is named after it.
func newIDs() (trace, span, request string) {
	var random [24]byte
	for i := 0; i < len(random); i += 8 {
		binary.NativeEndian.PutUint64(random[i:], rand.Uint64()) //nolint:gosec // not secret
	}
	text := hex.EncodeToString(random[:])
	return text[:32], text[32:], text[:32]
}

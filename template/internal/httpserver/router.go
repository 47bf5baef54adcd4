package httpserver

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

const (
	requestIDHeader    = "X-Request-Id" // as net/http spells it, which spares a conversion
	requestIDMaxLength = 64
	maxLoggedPath      = 256
)

// Recorder counts requests.
type Recorder interface {
	RequestStarted()
	RequestDone(method, route string, status int, elapsed time.Duration)
}

// Limits bound a request.
type Limits struct {
	BodyBytes int64
	Timeout   time.Duration // until the context of the request ends
}

// NewRouter returns a router with everything that the routes share. Client
// addresses in headers count only from the trusted proxies.
func NewRouter(log *slog.Logger, recorder Recorder, trustedProxies []string, limits func() Limits) (*gin.Engine, error) {
	if os.Getenv(gin.EnvGinMode) == "" {
		gin.SetMode(gin.ReleaseMode)
	}
	// What gin prints in its debug mode would break the JSON on stdout.
	gin.DefaultWriter = slog.NewLogLogger(log.Handler(), slog.LevelDebug).Writer()
	gin.DefaultErrorWriter = slog.NewLogLogger(log.Handler(), slog.LevelError).Writer()

	router := gin.New()
	router.ContextWithFallback = true
	router.HandleMethodNotAllowed = true
	// gin redirects before any middleware runs: no log line, no metric.
	router.RedirectTrailingSlash = false
	if err := router.SetTrustedProxies(trustedProxies); err != nil {
		return nil, fmt.Errorf("trusted proxies: %w", err)
	}
	// The log line needs the ids, and must see the status that an error or a panic ends in.
	router.Use(begin(limits), observe(log, recorder), problems(log), recovery(log))
	return router, nil
}

// begin gives a request its ids and its limits, and the response the headers
// that OWASP's REST Security Cheat Sheet asks of every API; HSTS is for whoever
// ends TLS. A handler may set other headers.
func begin(limits func() Limits) gin.HandlerFunc {
	return func(c *gin.Context) {
		maps.Copy(c.Writer.Header(), securityHeaders)
		limits := limits()
		ctx, cancel := context.WithTimeout(identify(c), limits.Timeout)
		defer cancel()
		c.Request = c.Request.WithContext(ctx)
		c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, limits.BodyBytes)
		c.Next()
	}
}

var securityHeaders = http.Header{
	"Cache-Control":          {"no-store"},
	"X-Content-Type-Options": {"nosniff"},
}

// observe logs and counts each request.
func observe(log *slog.Logger, recorder Recorder) gin.HandlerFunc {
	return func(c *gin.Context) {
		start := time.Now()
		recorder.RequestStarted()
		c.Next()
		end := time.Now()
		elapsed := end.Sub(start)

		route, status := c.FullPath(), c.Writer.Status()
		var path slog.Attr // left out of the line while empty
		if route == "" {
			route = "unmatched"
			text := c.Request.URL.EscapedPath()
			path = slog.String("path", text[:min(len(text), maxLoggedPath)])
		}
		recorder.RequestDone(c.Request.Method, route, status, elapsed)
		if !log.Enabled(c, slog.LevelInfo) {
			return
		}
		// Past the logger, which would look up its caller each time.
		line := slog.NewRecord(end, slog.LevelInfo, "request", 0)
		line.AddAttrs(
			slog.String("method", c.Request.Method),
			slog.String("route", route),
			path,
			slog.Int("status", status),
			slog.Float64("durationMs", float64(elapsed.Microseconds())/1000),
			slog.String("clientIp", c.ClientIP()))
		_ = log.Handler().Handle(c.Request.Context(), line)
	}
}

// recovery turns a panic into a logged internal error.
func recovery(log *slog.Logger) gin.HandlerFunc {
	return gin.CustomRecoveryWithWriter(nil, func(c *gin.Context, cause any) {
		log.ErrorContext(c.Request.Context(), "panic",
			slog.Any("error", fmt.Sprint(cause)), slog.String("stack", string(debug.Stack())))
		c.Status(http.StatusInternalServerError)
		c.Abort()
	})
}

func validRequestID(id string) bool {
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
	return id != "" && len(id) <= requestIDMaxLength && strings.Trim(id, allowed) == ""
}

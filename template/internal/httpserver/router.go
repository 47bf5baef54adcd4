package httpserver

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	"github.com/gin-gonic/gin"
)

const (
	maxBodyBytes  = 1 << 20
	maxLoggedPath = 256
)

// Recorder counts requests.
type Recorder interface {
	RequestStarted()
	RequestDone(method, route string, status int, elapsed time.Duration)
}

// NewRouter returns a router with everything that the routes share. Client
// addresses in headers count only from the trusted proxies.
func NewRouter(log *slog.Logger, recorder Recorder, trustedProxies []string) (*gin.Engine, error) {
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
	router.Use(identify, observe(log, recorder), problems(log), recovery(log), limitBody)
	return router, nil
}

// observe logs and counts each request.
func observe(log *slog.Logger, recorder Recorder) gin.HandlerFunc {
	return func(c *gin.Context) {
		start := time.Now()
		recorder.RequestStarted()
		c.Next()
		elapsed := time.Since(start)

		route, status := c.FullPath(), c.Writer.Status()
		var path slog.Attr // left out of the line while empty
		if route == "" {
			route = "unmatched"
			text := c.Request.URL.EscapedPath()
			path = slog.String("path", text[:min(len(text), maxLoggedPath)])
		}
		recorder.RequestDone(c.Request.Method, route, status, elapsed)
		log.LogAttrs(c.Request.Context(), slog.LevelInfo, "request",
			slog.String("method", c.Request.Method),
			slog.String("route", route),
			path,
			slog.Int("status", status),
			slog.Float64("durationMs", float64(elapsed.Microseconds())/1000),
			slog.String("clientIp", c.ClientIP()))
	}
}

// problems answers every error as problem details (RFC 9457). A handler fails
// by c.Error, after c.Status where it is not an internal error. The client
// reads only errors of type gin.ErrorTypePublic; the others are logged.
func problems(log *slog.Logger) gin.HandlerFunc {
	type problem struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail,omitempty"`
	}
	return func(c *gin.Context) {
		c.Next()

		status, level := statusOf(c), slog.LevelWarn
		if status >= http.StatusInternalServerError {
			level = slog.LevelError
		}
		for _, err := range c.Errors.ByType(gin.ErrorTypePrivate) {
			log.LogAttrs(c.Request.Context(), level, "request failed", slog.Any("error", err.Err))
		}
		if c.Writer.Written() || status < http.StatusBadRequest {
			return
		}
		answer := problem{Title: http.StatusText(status), Status: status}
		if public := c.Errors.ByType(gin.ErrorTypePublic).Last(); public != nil {
			answer.Detail = public.Error()
		}
		c.Header("Content-Type", "application/problem+json")
		c.JSON(status, answer)
	}
}

func statusOf(c *gin.Context) int {
	for _, err := range c.Errors {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return http.StatusRequestEntityTooLarge
		}
	}
	if status := c.Writer.Status(); len(c.Errors) == 0 || status >= http.StatusBadRequest {
		return status
	}
	return http.StatusInternalServerError
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

// limitBody makes reading a body beyond the limit an error.
func limitBody(c *gin.Context) {
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxBodyBytes)
	c.Next()
}

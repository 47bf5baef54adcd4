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
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/rs/zerolog"
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
// addresses in headers count only from the trusted proxies. Requests are logged
// to access, which is cheaper than slog, and everything else to log.
func NewRouter(
	log *slog.Logger, access zerolog.Logger, recorder Recorder, trustedProxies []string, limits func() Limits,
) (*gin.Engine, error) {
	if os.Getenv(gin.EnvGinMode) == "" {
		gin.SetMode(gin.ReleaseMode)
	}
	// What gin prints in its debug mode would break the JSON on stdout.
	gin.DefaultWriter = slog.NewLogLogger(log.Handler(), slog.LevelDebug).Writer()
	gin.DefaultErrorWriter = slog.NewLogLogger(log.Handler(), slog.LevelError).Writer()

	router := gin.New()
	// For slog.InfoContext(c, …). What waits takes c.Request.Context(): gin uses c again, and a
	// context that is derived from it may end in a panic then.
	router.ContextWithFallback = true
	router.HandleMethodNotAllowed = true
	// gin redirects before any middleware runs: no log line, no metric.
	router.RedirectTrailingSlash = false
	if err := router.SetTrustedProxies(trustedProxies); err != nil {
		return nil, fmt.Errorf("trusted proxies: %w", err)
	}
	// The log line needs the ids, and must see the status that an error or a panic ends in.
	router.Use(begin(limits), observe(access, recorder), problems(log), recovery(log))
	return router, nil
}

// begin gives a request its ids and limits, and its response the headers that
// OWASP asks of every API; a handler may set others. HSTS is for whoever ends TLS.
func begin(limits func() Limits) gin.HandlerFunc {
	return func(c *gin.Context) {
		maps.Copy(c.Writer.Header(), securityHeaders)
		limits := limits()
		ctx := &requestContext{Context: c.Request.Context(), id: identify(c), deadline: time.Now().Add(limits.Timeout)}
		defer ctx.stop()
		c.Request = c.Request.WithContext(ctx)
		if c.Request.Body != http.NoBody {
			c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, limits.BodyBytes)
		}
		c.Next()
		if c.GetBool(cutOff) {
			panic(http.ErrAbortHandler) // closes the connection, and is not logged
		}
	}
}

var securityHeaders = http.Header{
	"Cache-Control":          {"no-store"},
	"X-Content-Type-Options": {"nosniff"},
}

// requestContext adds what identify returns and a deadline to the context of a
// request. Its timer is set only when somebody waits for it: few requests do.
type requestContext struct {
	context.Context

	id       any
	deadline time.Time
	once     sync.Once
	timed    context.Context
	cancel   context.CancelFunc
}

type idKey struct{}

func (r *requestContext) Deadline() (time.Time, bool) { return r.deadline, true }
func (r *requestContext) Done() <-chan struct{}       { return r.start().Done() }
func (r *requestContext) Err() error                  { return r.start().Err() }

func (r *requestContext) Value(key any) any {
	if key == (idKey{}) {
		return r.id
	}
	return r.Context.Value(key)
}

func (r *requestContext) start() context.Context {
	r.once.Do(func() { r.timed, r.cancel = context.WithDeadline(r.Context, r.deadline) })
	return r.timed
}

func (r *requestContext) stop() {
	r.once.Do(func() { r.timed, r.cancel = r.Context, func() {} })
	r.cancel()
}

// observe logs and counts each request.
func observe(access zerolog.Logger, recorder Recorder) gin.HandlerFunc {
	return func(c *gin.Context) {
		start := time.Now()
		recorder.RequestStarted()
		c.Next()
		elapsed := time.Since(start)

		line := access.Info().Ctx(c.Request.Context())
		route, status := c.FullPath(), c.Writer.Status()
		if route == "" {
			route = "unmatched"
			path := c.Request.URL.EscapedPath()
			line.Str("path", path[:min(len(path), maxLoggedPath)])
		}
		recorder.RequestDone(c.Request.Method, route, status, elapsed)
		line.Str("method", c.Request.Method).
			Str("route", route).
			Int("status", status).
			Float64("durationMs", float64(elapsed.Microseconds())/1000).
			Str("clientIp", c.ClientIP()).
			Msg("request")
	}
}

// cutOff marks a response that ended half-way: the client must not take it for a whole one.
const cutOff = "cutOff"

// recovery turns a panic into a logged internal error.
func recovery(log *slog.Logger) gin.HandlerFunc {
	return func(c *gin.Context) {
		defer func() {
			if cause := recover(); cause != nil {
				log.ErrorContext(c.Request.Context(), "panic",
					slog.Any("error", fmt.Sprint(cause)), slog.String("stack", string(debug.Stack())))
				c.Set(cutOff, c.Writer.Written())
				c.Status(http.StatusInternalServerError)
				c.Abort()
			}
		}()
		c.Next()
	}
}

func validRequestID(id string) bool {
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
	return id != "" && len(id) <= requestIDMaxLength && strings.Trim(id, allowed) == ""
}

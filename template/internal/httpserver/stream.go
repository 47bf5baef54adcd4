package httpserver

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// unlimited is where begin keeps the context of a request without its time limit.
const unlimited = "unlimited"

// shutdownKey is where the context of a connection has the one that ends when its server shuts down.
type shutdownKey struct{}

// Stream lifts the time limits of a response that is sent bit by bit, such as server-sent events or
// a long download: each write has WriteTimeout, and all of them together have none. Call it before
// the first write. The handler must return once c.Request.Context() ends, which it does when the
// client goes and when the server shuts down.
func Stream(c *gin.Context) {
	ctx := c.Request.Context()
	if base, ok := c.Value(unlimited).(context.Context); ok {
		ctx = base
	}
	if shutdown, ok := ctx.Value(shutdownKey{}).(context.Context); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		stop := context.AfterFunc(shutdown, cancel)
		context.AfterFunc(ctx, func() { stop() }) // when the request ends
	}
	c.Request = c.Request.WithContext(ctx)
	c.Header("X-Accel-Buffering", "no") // or nginx would gather the answer
	c.Writer = &streamWriter{c.Writer, http.NewResponseController(c.Writer)}
}

type streamWriter struct {
	gin.ResponseWriter

	control *http.ResponseController
}

func (w *streamWriter) Write(data []byte) (int, error) {
	w.extend()
	return w.ResponseWriter.Write(data)
}

func (w *streamWriter) WriteString(text string) (int, error) {
	w.extend()
	return w.ResponseWriter.WriteString(text)
}

func (w *streamWriter) Flush() {
	w.extend()
	w.ResponseWriter.Flush()
}

func (w *streamWriter) extend() {
	_ = w.control.SetWriteDeadline(time.Now().Add(WriteTimeout)) // a test's recorder has none
}

func (w *streamWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

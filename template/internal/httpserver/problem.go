package httpserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/go-playground/validator/v10"
)

// statusClientClosedRequest is what nginx logs for a client that has gone.
const statusClientClosedRequest = 499

// problem is an error as the client reads it: problem details (RFC 9457).
type problem struct {
	Title  string            `json:"title"`
	Status int               `json:"status"`
	Detail string            `json:"detail,omitempty"`
	Errors map[string]string `json:"errors,omitempty"` // by field
}

// problems answers every error. A handler fails by c.Error, after c.Status
// where it is not an internal error; what it could not bind gets the type
// gin.ErrorTypeBind. The client reads those, and errors of type
// gin.ErrorTypePublic; the others are logged.
func problems(log *slog.Logger) gin.HandlerFunc {
	return func(c *gin.Context) {
		ctx := c.Request.Context()
		c.Next()
		if len(c.Errors) == 0 && c.Writer.Status() < http.StatusBadRequest {
			return
		}
		answer := problem{Status: c.Writer.Status()}
		for _, err := range c.Errors {
			answer.add(err)
		}
		switch {
		case answer.Status >= http.StatusBadRequest:
		case errors.Is(ctx.Err(), context.Canceled):
			answer.Status = statusClientClosedRequest
		default:
			answer.Status = http.StatusInternalServerError
		}
		answer.Title = http.StatusText(answer.Status)

		level := slog.LevelWarn
		if answer.Status >= http.StatusInternalServerError {
			level = slog.LevelError
		}
		for _, err := range c.Errors.ByType(gin.ErrorTypePrivate) {
			log.LogAttrs(ctx, level, "request failed", slog.Any("error", err.Err))
		}
		if !c.Writer.Written() {
			c.Header("Content-Type", "application/problem+json")
			c.JSON(answer.Status, answer)
		}
	}
}

// add says what err means to the client.
func (p *problem) add(err *gin.Error) {
	var (
		bind      = err.IsType(gin.ErrorTypeBind)
		tooLarge  *http.MaxBytesError
		invalid   validator.ValidationErrors
		wrongType *json.UnmarshalTypeError
	)
	switch {
	case errors.As(err, &tooLarge):
		p.Status = http.StatusRequestEntityTooLarge
	case bind && errors.As(err, &invalid):
		p.Status, p.Errors = http.StatusBadRequest, map[string]string{}
		for _, field := range invalid {
			p.Errors[field.Namespace()] = strings.TrimSpace("must be " + field.Tag() + " " + field.Param())
		}
	case bind && errors.As(err, &wrongType):
		p.Status, p.Detail = http.StatusBadRequest, fmt.Sprintf("%q must not be a JSON %s", wrongType.Field, wrongType.Value)
	case bind && errors.Is(err, os.ErrDeadlineExceeded):
		p.Status = http.StatusRequestTimeout
	case bind:
		p.Status, p.Detail = http.StatusBadRequest, "the body is not the JSON that is expected"
	case err.IsType(gin.ErrorTypePublic):
		p.Detail = err.Error()
	case p.Status < http.StatusBadRequest && errors.Is(err, context.DeadlineExceeded):
		p.Status = http.StatusServiceUnavailable
	}
}

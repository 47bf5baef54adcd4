package httpserver

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"

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

// problems answers every error that has no body yet. The client reads errors of the types
// gin.ErrorTypeBind and gin.ErrorTypePublic; the others are logged.
func problems(log *slog.Logger) gin.HandlerFunc {
	return func(c *gin.Context) {
		ctx := c.Request.Context()
		c.Writer = &patientWriter{c.Writer}
		c.Next()
		if len(c.Errors) == 0 && c.Writer.Status() < http.StatusBadRequest {
			return
		}
		answer := problem{Status: c.Writer.Status()}
		for _, err := range c.Errors {
			answer.add(err, c)
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

// patientWriter leaves an error that has no body, as gin's Abort methods write it, to problems.
type patientWriter struct{ gin.ResponseWriter }

func (w *patientWriter) WriteHeaderNow() {
	if w.Status() < http.StatusBadRequest {
		w.ResponseWriter.WriteHeaderNow()
	}
}

func (w *patientWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// add says what err means to the client.
func (p *problem) add(err *gin.Error, c *gin.Context) {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		p.Status = http.StatusRequestEntityTooLarge
	case err.IsType(gin.ErrorTypeBind) && errors.Is(err, os.ErrDeadlineExceeded):
		p.Status = http.StatusRequestTimeout
	case err.IsType(gin.ErrorTypeBind):
		p.Status = http.StatusBadRequest
		p.refuse(err, c)
	case err.IsType(gin.ErrorTypePublic):
		p.Detail = err.Error()
	case p.Status < http.StatusBadRequest && errors.Is(err, context.DeadlineExceeded):
		p.Status = http.StatusServiceUnavailable
	}
}

// refuse says what is wrong with a request that could not be bound.
func (p *problem) refuse(err error, c *gin.Context) {
	var (
		invalid   validator.ValidationErrors
		number    *strconv.NumError
		wrongType *json.UnmarshalTypeError
	)
	p.Errors = map[string]string{}
	switch {
	case errors.As(err, &invalid):
		for _, field := range invalid {
			p.Errors[fieldName(field)] = reason(field)
		}
	case errors.As(err, &number):
		for _, name := range parametersOf(c, number.Num) {
			p.Errors[name] = numberReason(number)
		}
	case errors.As(err, &wrongType) && wrongType.Field != "":
		p.Errors[wrongType.Field] = "must not be a JSON " + wrongType.Value
	case errors.Is(err, io.EOF):
		p.Detail = "the body is empty"
	default:
		p.Detail = "the body is not the JSON that is expected"
	}
}

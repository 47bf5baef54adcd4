package httpserver

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/gin-gonic/gin/binding"
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

// nameFields lets validation errors name fields as clients know them.
func nameFields() {
	if validate, ok := binding.Validator.Engine().(*validator.Validate); ok {
		validate.RegisterTagNameFunc(func(field reflect.StructField) string {
			name := cmp.Or(field.Tag.Get("json"), field.Tag.Get("form"), field.Tag.Get("uri"), field.Tag.Get("header"))
			name, _, _ = strings.Cut(name, ",")
			return strings.Trim(name, "-")
		})
	}
}

// fieldName returns the path of a field, such as items[2].quantity.
func fieldName(field validator.FieldError) string {
	root, path, nested := strings.Cut(field.Namespace(), ".")
	if nested && strings.HasPrefix(field.StructNamespace(), root+".") {
		return path // root is the name of a Go type
	}
	return field.Namespace()
}

var reasons = map[string]string{
	"required": "is required", "len": "must be ", "oneof": "must be one of ", "gt": "must be more than ",
	"lt": "must be less than ", "min": "must be at least ", "max": "must be at most ",
	"gte": "must be at least ", "lte": "must be at most ",
}

// reason says what a field must be.
func reason(field validator.FieldError) string {
	text, known := reasons[field.Tag()]
	number := field.Kind() >= reflect.Int && field.Kind() <= reflect.Float64
	switch {
	case !known:
		return strings.TrimSpace("must satisfy " + field.Tag() + " " + field.Param())
	case field.Tag() == "oneof":
		return text + strings.ReplaceAll(field.Param(), " ", ", ")
	case field.Tag() == "required" && number:
		return text + " and must not be 0"
	case field.Tag() == "required", number:
		return text + field.Param()
	case field.Kind() == reflect.String:
		return text + field.Param() + " characters"
	}
	return text + field.Param() + " items"
}

// parametersOf returns the names of the parameters that have a value: gin's error has that only.
func parametersOf(c *gin.Context, value string) (names []string) {
	for name, values := range c.Request.URL.Query() {
		if slices.Contains(values, value) {
			names = append(names, name)
		}
	}
	for _, param := range c.Params {
		if param.Value == value {
			names = append(names, param.Key)
		}
	}
	return names
}

func numberReason(err *strconv.NumError) string {
	switch {
	case errors.Is(err, strconv.ErrRange):
		return "is out of range"
	case err.Func == "ParseBool":
		return "must be true or false"
	case err.Func == "ParseFloat":
		return "must be a number"
	}
	return "must be a whole number"
}

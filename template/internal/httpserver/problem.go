package httpserver

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
	"github.com/gin-gonic/gin/binding"
	"github.com/go-playground/validator/v10"
)

// index is an element of a list, as encoding/json of Go 1.27 names it: items.0.quantity.
var index = regexp.MustCompile(`\.(\d+)`)

// statusClientClosedRequest is what nginx logs for a client that has gone.
const statusClientClosedRequest = 499

// problem is an error as the client reads it: problem details (RFC 9457).
type problem struct {
	Title  string            `json:"title"`
	Status int               `json:"status"`
	Detail string            `json:"detail,omitempty"`
	Errors map[string]string `json:"errors,omitempty"` // by field
}

// BadRequest ends a request that c.ShouldBindJSON or its like refuses. Of this error and of the details
// below, the client reads what is wrong.
func BadRequest(c *gin.Context, err error) {
	_ = c.AbortWithError(http.StatusBadRequest, err).SetType(gin.ErrorTypeBind)
}

// Invalid ends a request whose field has a value that it must not have.
func Invalid(c *gin.Context, field, reason string) { BadRequest(c, fieldError{field, reason}) }

// Unauthorized ends a request of nobody that is known.
func Unauthorized(c *gin.Context, detail string) {
	c.Header("WWW-Authenticate", cmp.Or(c.Writer.Header().Get("WWW-Authenticate"), "Bearer")) // RFC 9110
	refuse(c, http.StatusUnauthorized, detail)
}

// Forbidden ends a request that its caller must not make.
func Forbidden(c *gin.Context, detail string) { refuse(c, http.StatusForbidden, detail) }

// NotFound ends a request for what does not exist.
func NotFound(c *gin.Context, detail string) { refuse(c, http.StatusNotFound, detail) }

// Conflict ends a request that does not fit what is there.
func Conflict(c *gin.Context, detail string) { refuse(c, http.StatusConflict, detail) }

// Unavailable ends a request that needs another service, which failed by err: that is logged.
func Unavailable(c *gin.Context, detail string, err error) {
	_ = c.Error(err)
	refuse(c, http.StatusServiceUnavailable, detail)
}

func refuse(c *gin.Context, status int, detail string) {
	_ = c.AbortWithError(status, errors.New(detail)).SetType(gin.ErrorTypePublic)
}

// Fail ends a request that failed by no fault of the client, who does not read err: it is logged.
func Fail(c *gin.Context, err error) {
	c.Abort()
	_ = c.Error(err)
}

type fieldError struct{ field, reason string }

func (e fieldError) Error() string { return e.field + " " + e.reason }

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
		case answer.Status == http.StatusRequestTimeout: // the server cuts that off, and cancels it
		case errors.Is(ctx.Err(), context.Canceled) && !c.Writer.Written():
			answer.Status = statusClientClosedRequest // whatever failed for that
		case answer.Status < http.StatusBadRequest:
			answer.Status = http.StatusInternalServerError
		}
		answer.Title = http.StatusText(answer.Status)

		for _, err := range c.Errors {
			level := slog.LevelWarn
			if answer.Status >= http.StatusInternalServerError {
				level = slog.LevelError
			} else if !err.IsType(gin.ErrorTypePrivate) {
				level = slog.LevelDebug // the client reads it
			}
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
	var (
		tooLarge    *http.MaxBytesError
		unreachable *net.OpError
	)
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
	case p.Status < http.StatusBadRequest &&
		(errors.Is(err, context.DeadlineExceeded) || errors.As(err, &unreachable)):
		p.Status = http.StatusServiceUnavailable
	}
}

// refuse says what is wrong with a request that could not be bound.
func (p *problem) refuse(err error, c *gin.Context) {
	var (
		invalid   validator.ValidationErrors
		value     fieldError
		number    *strconv.NumError
		wrongType *json.UnmarshalTypeError
		malformed *json.SyntaxError
	)
	p.Errors = map[string]string{}
	switch {
	case errors.As(err, &value):
		p.Errors[value.field] = value.reason
	case errors.As(err, &invalid):
		for _, field := range invalid {
			p.Errors[fieldName(field)] = reason(field)
		}
	case errors.As(err, &number):
		p.Detail = strconv.Quote(number.Num) + " " + numberReason(number)
		// Gin's error has the value only. Where two parameters have it, either may be meant.
		if names := parametersOf(c, number.Num); len(names) == 1 {
			p.Detail, p.Errors[names[0]] = "", numberReason(number)
		}
	case errors.As(err, &wrongType) && wrongType.Field != "":
		kind, _, number := strings.Cut(wrongType.Value, " ")
		field := index.ReplaceAllString(wrongType.Field, "[$1]")
		p.Errors[field] = "must not be a JSON " + kind
		if number {
			p.Errors[field] = "must be a whole number, and not too large"
		}
	case errors.Is(err, io.EOF):
		p.Detail = "the body is empty"
	case errors.As(err, &wrongType), errors.As(err, &malformed), errors.Is(err, io.ErrUnexpectedEOF):
		p.Detail = "the body is not the JSON that is expected"
	default:
		p.Detail = "a value of the request is not what is expected"
	}
}

// init comes before any validation: the validator asks for the names of a type once.
func init() {
	if validate, ok := binding.Validator.Engine().(*validator.Validate); ok {
		validate.RegisterTagNameFunc(clientName)
		// Without NUL, and in UTF-8: paths, queries and JSON may hold more, and stores fail on it.
		_ = validate.RegisterValidation("text", func(field validator.FieldLevel) bool {
			text := field.Field().String()
			return utf8.ValidString(text) && !strings.Contains(text, "\x00")
		})
	}
}

// clientName returns what clients call a field.
func clientName(field reflect.StructField) string {
	for _, tag := range []string{"json", "form", "uri", "header"} {
		if name, _, _ := strings.Cut(field.Tag.Get(tag), ","); name != "" && name != "-" {
			return name
		}
	}
	return ""
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
	"required": "is required", "len": "must be ", "oneof": "must be one of: ", "gt": "must be more than ",
	"lt": "must be less than ", "min": "must be at least ", "max": "must be at most ",
	"gte": "must be at least ", "lte": "must be at most ", "email": "must be an email address",
	"url": "must be a URL", "uuid": "must be a UUID", "text": "must be text",
}

// reason says what a field must be.
func reason(field validator.FieldError) string {
	text, known := reasons[field.Tag()]
	text += field.Param()
	number := field.Kind() >= reflect.Int && field.Kind() <= reflect.Float64
	switch {
	case field.Tag() == "required" && number:
		return text + " and must not be 0"
	case known && (number || !strings.HasSuffix(reasons[field.Tag()], " ")), field.Tag() == "oneof":
		return text
	case known && field.Kind() == reflect.String:
		return text + " characters"
	case known && (field.Kind() == reflect.Slice || field.Kind() == reflect.Map):
		return text + " items"
	}
	return strings.TrimSpace("must satisfy " + field.Tag() + " " + field.Param())
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

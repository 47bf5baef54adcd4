package httpserver

import (
	"cmp"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/gin-gonic/gin/binding"
	"github.com/go-playground/validator/v10"
)

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

package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/go-playground/validator/v10"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// loader has the settings by the names of their variables, and the mistakes so far.
type loader struct {
	settings map[string]*setting
	errs     []error
}

// setting is a field, with its text and where that stands.
type setting struct {
	reflect.StructField
	text, where string
	wrong       bool
}

func (s *setting) secret() bool { return s.Type == reflect.TypeFor[Secret]() }
func (s *setting) list() bool   { return s.Type.Kind() == reflect.Slice }

// load reads the file and the environment into the struct that cfg points to. It
// returns the content of the file, or why that cannot be read.
func load(getenv func(string) string, cfg any) (file string, err error) {
	target := reflect.ValueOf(cfg).Elem()
	l := &loader{settings: map[string]*setting{}}
	for field := range target.Type().Fields() {
		key := field.Tag.Get("env")
		l.settings[key] = &setting{StructField: field, text: field.Tag.Get("envDefault"), where: key}
	}
	if path := getenv("CONFIG_FILE"); path != "" {
		content, err := os.ReadFile(path)
		if file = string(content); err != nil {
			file = err.Error()
			l.mistake("CONFIG_FILE (environment): %w", err)
		}
		l.readFile(filepath.Base(path), content)
	}
	for field := range target.Type().Fields() {
		key := field.Tag.Get("env")
		l.readVariable(getenv, key, l.settings[key])
	}
	l.parse(cfg)
	l.validate(cfg)
	for _, s := range l.settings {
		if s.wrong {
			target.FieldByIndex(s.Index).SetZero()
		}
	}
	return file, errors.Join(l.errs...)
}

func (l *loader) mistake(format string, args ...any) {
	l.errs = append(l.errs, fmt.Errorf(format, args...))
}

func (l *loader) refuse(s *setting, format string, args ...any) {
	l.mistake(s.where+": "+format, args...)
	s.wrong = true
}

// readFile reads a mapping of names to values.
func (l *loader) readFile(base string, content []byte) {
	content = bytes.ReplaceAll(bytes.TrimPrefix(content, []byte("\ufeff")), []byte("\r\n"), []byte("\n"))
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var file map[string]ast.Node
	if err := decoder.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		// Without the lines around the mistake, and what they hold.
		l.mistake("%s: %s", base, yaml.FormatError(err, false, false))
	} else if decoder.Decode(new(any)) == nil {
		l.mistake("%s: must be one document", base)
	}
	for _, name := range slices.Sorted(maps.Keys(file)) {
		node, where := file[name], fmt.Sprintf("%s (%s)", name, base)
		if node != nil {
			where = fmt.Sprintf("%s (%s:%d)", name, base, node.GetToken().Position.Line)
		}
		key := strings.ToUpper(name)
		s, known := l.settings[key]
		switch {
		case !known || name != strings.ToLower(key):
			l.mistake("%s: unknown setting", where)
		case node == nil: // counts as unset
		case s.secret():
			s.where = where
			l.refuse(s, "a secret, set %s or %s_FILE in the environment instead", key, key)
		default:
			s.where = where
			l.readNode(s, node)
		}
	}
}

// readNode takes each value as it is written, so that 1.10 stays 1.10.
func (l *loader) readNode(s *setting, value ast.Node) {
	values := []ast.Node{value}
	if list, ok := value.(*ast.SequenceNode); ok && s.list() {
		values = list.Values
	}
	var texts []string
	for _, value := range values {
		switch value.(type) {
		case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
			texts = append(texts, value.GetToken().Value)
		default:
			l.refuse(s, "must be one value, or a list of them where it is a list")
			return
		}
	}
	s.text = strings.Join(texts, ",")
}

// readVariable reads the environment; a variable that is empty counts as unset.
func (l *loader) readVariable(getenv func(string) string, key string, s *setting) {
	variable, path := getenv(key), getenv(key+"_FILE")
	if variable != "" {
		s.text, s.where = variable, key+" (environment)"
	}
	if path == "" || !s.secret() {
		return
	}
	content, err := os.ReadFile(path)
	s.text, s.where = strings.TrimSpace(string(content)), key+"_FILE (environment)"
	switch {
	case variable != "":
		l.refuse(s, "%s is set too, use one of them", key)
	case err != nil:
		l.refuse(s, "%w", err)
	case s.text == "":
		l.refuse(s, "%s is empty", path)
	}
}

// parse fills cfg.
func (l *loader) parse(cfg any) {
	texts := map[string]string{}
	for key, s := range l.settings {
		if texts[key] = s.text; s.list() {
			texts[key] = strings.ReplaceAll(s.text, ", ", ",")
		}
	}
	failed, _ := errors.AsType[env.AggregateError](env.ParseWithOptions(cfg, env.Options{Environment: texts}))
	for _, err := range failed.Errors {
		parse, _ := errors.AsType[env.ParseError](err)
		if field, ok := reflect.TypeOf(cfg).Elem().FieldByName(parse.Name); ok {
			s := l.settings[field.Tag.Get("env")]
			l.refuse(s, "%q is no %s", s.text, cmp.Or(kinds[s.Type], s.Type.String()))
		} else {
			l.mistake("%w", err) // in the struct itself
		}
	}
}

// kinds says what a text must be to become a value of a type.
var kinds = map[reflect.Type]string{
	reflect.TypeFor[time.Duration](): "duration, such as 10s",
	reflect.TypeFor[slog.Level]():    "log level, use debug, info, warn or error",
	reflect.TypeFor[int]():           "whole number",
	reflect.TypeFor[int64]():         "whole number",
	reflect.TypeFor[bool]():          "true or false",
}

var check = newValidator()

func newValidator() *validator.Validate {
	check := validator.New(validator.WithRequiredStructEnabled())
	check.RegisterTagNameFunc(func(field reflect.StructField) string { return field.Tag.Get("env") })
	_ = check.RegisterValidation("listen_address", func(field validator.FieldLevel) bool {
		_, port, err := net.SplitHostPort(field.Field().String())
		_, portErr := strconv.ParseUint(port, 10, 16)
		return err == nil && portErr == nil
	})
	return check
}

// validate checks cfg, but for what could not be parsed.
func (l *loader) validate(cfg any) {
	unparsed := map[string]bool{}
	for key, s := range l.settings {
		unparsed[key] = s.wrong
	}
	invalid, _ := errors.AsType[validator.ValidationErrors](check.Struct(cfg))
	for _, e := range invalid {
		key, _, _ := strings.Cut(e.Field(), "[") // what follows is the place in a list
		if s := l.settings[key]; !unparsed[key] {
			l.refuse(s, "%s", reason(e, key, s))
		}
	}
}

// reasons say what is wrong, by the tag that says what must be.
var reasons = map[string]string{
	"min":            "must be at least ",
	"max":            "must be at most ",
	"oneof":          "must be one of ",
	"ip|cidr":        "is no IP address and no CIDR range",
	"listen_address": "is no listen address, use host:port or :port, up to 65535",
}

func reason(e validator.FieldError, key string, s *setting) string {
	switch text, known := reasons[e.Tag()]; {
	case s.text == "" && s.secret():
		return "required, set it or " + key + "_FILE"
	case s.text == "":
		return "required"
	case known:
		return fmt.Sprintf("%q %s%s", fmt.Sprint(e.Value()), text, e.Param())
	default:
		return fmt.Sprintf("%q must meet %s", fmt.Sprint(e.Value()), strings.TrimSuffix(e.Tag()+"="+e.Param(), "="))
	}
}

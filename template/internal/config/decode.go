package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/goccy/go-yaml"
)

// text is a value of the file as it is written; the values of a list have commas between them.
type text string

func (t *text) UnmarshalYAML(unmarshal func(any) error) error {
	var value any
	if err := unmarshal(&value); err != nil {
		return err
	}
	if _, ok := value.([]any); !ok {
		return unmarshal((*string)(t))
	}
	var list []string
	err := unmarshal(&list)
	*t = text(strings.Join(list, ","))
	return err
}

// readFile reads the settings of a YAML file. No path means no file.
func readFile(path string) (map[string]text, error) {
	if path == "" {
		return nil, nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("CONFIG_FILE (environment): %w", err)
	}
	var file map[string]text
	if err := yaml.Unmarshal(bytes.TrimPrefix(content, []byte("\ufeff")), &file); err != nil {
		// Without the lines around the mistake, and what they hold.
		err = errors.New(yaml.FormatError(err, false, false))
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	for field := range reflect.TypeFor[Config]().Fields() {
		key := field.Tag.Get("env")
		if _, ok := file[strings.ToLower(key)]; ok && field.Type == reflect.TypeFor[Secret]() {
			return nil, fmt.Errorf("%s: %s is a secret, set it or %s_FILE in the environment", filepath.Base(path), key, key)
		}
	}
	return file, nil
}

// decode puts the settings of one source into cfg. An empty text is no setting.
func decode[T ~string](source string, texts map[string]T, cfg *Config) error {
	settings := map[string]string{}
	for key, value := range texts {
		if value != "" {
			settings[key] = string(value)
		}
	}
	decoder, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result: cfg, TagName: "env", ErrorUnused: true, WeaklyTypedInput: true,
		DecodeHook: mapstructure.ComposeDecodeHookFunc(
			mapstructure.StringToTimeDurationHookFunc(), mapstructure.TextUnmarshallerHookFunc(), splitList),
	})
	if err == nil {
		err = errors.Unwrap(decoder.Decode(settings)) // without its headline
	}
	if err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	return nil
}

func splitList(_, to reflect.Type, value any) (any, error) {
	if text, ok := value.(string); ok && to.Kind() == reflect.Slice {
		return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }), nil
	}
	return value, nil
}

package config

import (
	"fmt"
	"os"
	"strings"
)

// Secret parses a required secret, which stands in the variable key or in the
// file that the variable key_FILE names.
func Secret[T any](e *Env, key string, parse func(string) (T, error)) T {
	var value T
	name := strings.ToLower(key)
	if s, ok := e.file[name]; ok {
		e.mistake("%s (%s): a secret, set %s or %s_FILE in the environment instead", name, s.from, key, key)
	}
	text, from, err := e.readSecret(key)
	e.settings[name] = setting{key, "[redacted]", from}
	if err != nil {
		e.errs = append(e.errs, err)
		return value
	}
	if value, err = parse(text); err != nil {
		// What parse says may quote a part of the secret.
		e.mistake("%s (%s): malformed (its value is not shown)", key, from)
	}
	return value
}

// readSecret returns a secret and where it stands.
func (e *Env) readSecret(key string) (text, from string, err error) {
	fileKey := key + "_FILE"
	text, file := e.getenv(key), e.getenv(fileKey)
	switch {
	case text != "" && file != "":
		return "", "", fmt.Errorf("%s (environment): %s is set too, use one of them", key, fileKey)
	case text != "":
		return text, "environment", nil
	case file == "":
		return "", "", fmt.Errorf("%s: required, set it or %s", key, fileKey)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", "", fmt.Errorf("%s (environment): %w", fileKey, err)
	}
	text = strings.TrimSpace(string(content))
	if text == "" {
		return "", "", fmt.Errorf("%s (environment): %s is empty", fileKey, file)
	}
	return text, fileKey, nil
}

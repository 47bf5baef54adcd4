package config

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
)

// Secret parses a required secret, which stands in the variable key or in the
// file that the variable key_FILE names.
func Secret[T any](e *Env, key string, parse func(string) (T, error)) T {
	e.settings = append(e.settings, slog.String(key, "[redacted]"))
	text, err := e.readSecret(key)
	if err != nil {
		e.errs = append(e.errs, err)
		var none T
		return none
	}
	value, err := parse(text)
	if err != nil {
		// What parse says may quote a part of the secret.
		e.errs = append(e.errs, fmt.Errorf("%s: malformed (its value is not shown)", key))
	}
	return value
}

func (e *Env) readSecret(key string) (string, error) {
	fileKey := key + "_FILE"
	text, file := e.getenv(key), e.getenv(fileKey)
	switch {
	case text != "" && file != "":
		return "", fmt.Errorf("%s: %s is set too, use one of them", key, fileKey)
	case text != "":
		return text, nil
	case file == "":
		return "", fmt.Errorf("%s: required, set it or %s", key, fileKey)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", fileKey, err)
	}
	text = strings.TrimSpace(string(content))
	if text == "" {
		return "", fmt.Errorf("%s: %s is empty", fileKey, file)
	}
	return text, nil
}

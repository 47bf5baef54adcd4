package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSecret(t *testing.T) {
	const value = "postgres://user:hunter2@db/app"
	folder := t.TempDir()
	file, empty := filepath.Join(folder, "url"), filepath.Join(folder, "empty")
	for name, content := range map[string]string{file: value + "\n", empty: "\n"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]struct {
		env map[string]string
		err string // what the error starts with
	}{
		"variable":     {map[string]string{"DATABASE_URL": value}, ""},
		"file":         {map[string]string{"DATABASE_URL_FILE": file}, ""},
		"both":         {map[string]string{"DATABASE_URL": value, "DATABASE_URL_FILE": file}, "DATABASE_URL (environment): "},
		"neither":      {nil, "DATABASE_URL: required"},
		"empty file":   {map[string]string{"DATABASE_URL_FILE": empty}, "DATABASE_URL_FILE (environment): "},
		"missing file": {map[string]string{"DATABASE_URL_FILE": folder + "/none"}, "DATABASE_URL_FILE (environment): "},
		"malformed":    {map[string]string{"DATABASE_URL": "bad:hunter2"}, "DATABASE_URL (environment): malformed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			env := environment(test.env)
			got, err := Secret(env, "DATABASE_URL", parseURL), env.Err()
			switch {
			case test.err == "" && (err != nil || got != value):
				t.Errorf("got %q, %v", got, err)
			case test.err != "" && (err == nil || !strings.HasPrefix(err.Error(), test.err)):
				t.Errorf("got error %v, want %q", err, test.err)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows the secret: %v", err)
			}
			if shown := env.LogValue().String(); shown != "[DATABASE_URL=[redacted]]" {
				t.Errorf("the log shows %s", shown)
			}
		})
	}
}

func TestSecretDoesNotStandInTheConfigurationFile(t *testing.T) {
	env := withFile(t, "database_url: postgres://user:hunter2@db/app\n", map[string]string{"DATABASE_URL": "postgres://db/app"})
	Load(env)
	Secret(env, "DATABASE_URL", parseURL)
	checkMistakes(t, env, "database_url (config.yaml:1): a secret, set DATABASE_URL or DATABASE_URL_FILE in the environment instead")
	if strings.Contains(env.Err().Error()+env.LogValue().String(), "hunter2") {
		t.Error("the secret is shown")
	}
}

func parseURL(text string) (string, error) {
	if !strings.HasPrefix(text, "postgres://") {
		return "", errors.New("cannot parse " + text)
	}
	return text, nil
}

package config

import (
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"
)

func environment(variables map[string]string) *Env {
	return NewEnv(func(key string) string { return variables[key] })
}

func TestDefaultsAreValid(t *testing.T) {
	env := environment(nil)
	cfg := Load(env)
	if err := env.Err(); err != nil {
		t.Fatal(err)
	}
	if cfg.HTTPAddr != defaultHTTPAddr || cfg.AdminAddr != defaultAdminAddr || cfg.DrainDelay <= 0 {
		t.Errorf("got %+v", cfg)
	}
}

func TestEnvironmentOverridesDefaults(t *testing.T) {
	env := environment(map[string]string{
		"HTTP_ADDR":        "127.0.0.1:8000",
		"ADMIN_ADDR":       "[::1]:9000",
		"LOG_LEVEL":        "WARN",
		"TRUSTED_PROXIES":  "10.0.0.0/8, ::1",
		"DRAIN_DELAY":      "0s",
		"SHUTDOWN_TIMEOUT": "1m",
		"FLUSH_TIMEOUT":    "1500ms",
		"UNKNOWN_TO_US":    "ignored",
	})
	got := Load(env)
	if err := env.Err(); err != nil {
		t.Fatal(err)
	}
	want := Config{
		HTTPAddr:        "127.0.0.1:8000",
		AdminAddr:       "[::1]:9000",
		LogLevel:        slog.LevelWarn,
		TrustedProxies:  []string{"10.0.0.0/8", "::1"},
		DrainDelay:      0,
		ShutdownTimeout: time.Minute,
		FlushTimeout:    1500 * time.Millisecond,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if shown := env.LogValue().String(); !strings.Contains(shown, "HTTP_ADDR=127.0.0.1:8000") {
		t.Errorf("the log does not show the settings: %s", shown)
	}
}

func TestLogLevels(t *testing.T) {
	for text, want := range map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	} {
		if got := Load(environment(map[string]string{"LOG_LEVEL": text})).LogLevel; got != want {
			t.Errorf("%s: got %v", text, got)
		}
	}
}

func TestMistakesNameTheirVariable(t *testing.T) {
	tests := []struct{ key, value string }{
		{"HTTP_ADDR", "8080"},
		{"HTTP_ADDR", ":http"},
		{"ADMIN_ADDR", ":65536"},
		{"LOG_LEVEL", "loud"},
		{"TRUSTED_PROXIES", "10.0.0.0/33"},
		{"TRUSTED_PROXIES", "10.0.0.1,,10.0.0.2"},
		{"DRAIN_DELAY", "10"},
		{"DRAIN_DELAY", "-1s"},
		{"SHUTDOWN_TIMEOUT", "0s"},
		{"FLUSH_TIMEOUT", "soon"},
	}
	all := map[string]string{}
	for _, test := range tests {
		all[test.key] = test.value
		t.Run(test.key+"="+test.value, func(t *testing.T) {
			env := environment(map[string]string{test.key: test.value})
			Load(env)
			if err := env.Err(); err == nil || !strings.HasPrefix(err.Error(), test.key+": ") {
				t.Errorf("got %v", err)
			}
		})
	}

	env := environment(all)
	Load(env)
	for key := range all {
		if !strings.Contains(env.Err().Error(), key+": ") {
			t.Errorf("%s is missing in: %v", key, env.Err())
		}
	}
}

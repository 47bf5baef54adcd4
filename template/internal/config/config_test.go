package config

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// environment returns variables and a configuration file, where it has content. What is
// required is set to a URL of nothing, so that a new setting breaks no test.
func environment(t testing.TB, file string, variables map[string]string) func(string) string {
	t.Helper()
	env := map[string]string{}
	for field := range reflect.TypeFor[Config]().Fields() {
		if strings.Contains(field.Tag.Get("validate"), "required") {
			env[field.Tag.Get("env")] = "http://127.0.0.1:1"
		}
	}
	if file != "" {
		env["CONFIG_FILE"] = filepath.Join(t.TempDir(), "config.yaml")
		write(t, env["CONFIG_FILE"], file)
	}
	return func(key string) string {
		if text, ok := variables[key]; ok {
			return text
		}
		return env[key]
	}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(content), 0o600))
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestEnvironmentOverridesFileOverridesDefaults(t *testing.T) {
	getenv := environment(t, "http_addr: 127.0.0.1:8000 # as it is\nlog_level: debug\nmax_body_bytes: 2048\n",
		map[string]string{"LOG_LEVEL": "WARN", "MAX_BODY_BYTES": "", "REQUEST_TIMEOUT": "29s"})
	got, err := Load(getenv)
	must(t, err)
	if got.LogFormat != "json" || got.HTTPAddr != "127.0.0.1:8000" || got.MaxBodyBytes != 2048 ||
		got.LogLevel != slog.LevelWarn || got.RequestTimeout != MaxRequestTimeout {
		t.Errorf("got %v", got.LogValue())
	}
	for _, want := range []string{"LOG_LEVEL=WARN", "HTTP_ADDR=127.0.0.1:8000", "REQUEST_TIMEOUT=29s"} {
		if shown := got.LogValue().String(); !strings.Contains(shown, want) {
			t.Errorf("the log does not show %s: %s", want, shown)
		}
	}
}

func TestEveryFieldIsASetting(t *testing.T) {
	for field := range reflect.TypeFor[Config]().Fields() {
		if field.Tag.Get("env") == "" {
			t.Errorf("%s has no name in the environment", field.Name)
		}
	}
}

func TestWaysToWriteAList(t *testing.T) {
	want := []string{"10.0.0.0/8", "::1"}
	for _, content := range []string{
		"trusted_proxies: 10.0.0.0/8, ::1\n",
		"trusted_proxies: 10.0.0.0/8,::1",
		"trusted_proxies: [10.0.0.0/8, \"::1\"]\n",
		"trusted_proxies:\n  - 10.0.0.0/8\n  # this machine\n  - ::1\n",
		"\ufefftrusted_proxies:\r\n- 10.0.0.0/8\r\n- ::1\r\n",
	} {
		if got, err := Load(environment(t, content, nil)); err != nil || !slices.Equal(got.TrustedProxies, want) {
			t.Errorf("%q: got %q, %v", content, got.TrustedProxies, err)
		}
	}
}

func TestMistakesNameTheirSettingAndWhereItStands(t *testing.T) {
	for variable, want := range map[string]string{
		"HTTP_ADDR=8080":              `HTTP_ADDR (environment): "8080" is no listen address`,
		"HTTP_ADDR=:http":             `HTTP_ADDR (environment): ":http" is no listen address`,
		"ADMIN_ADDR=:65536":           `ADMIN_ADDR (environment): ":65536" is no listen address`,
		"LOG_LEVEL=loud":              `LOG_LEVEL (environment): "loud" is no log level, use debug, info, warn or error`,
		"LOG_FORMAT=xml":              `LOG_FORMAT (environment): "xml" must be one of json text`,
		"TRUSTED_PROXIES=10.0.0.0/33": `TRUSTED_PROXIES (environment): "10.0.0.0/33" is no IP address and no CIDR range`,
		"MAX_BODY_BYTES=1Mi":          `MAX_BODY_BYTES (environment): "1Mi" is no whole number`,
		"MAX_BODY_BYTES=1023":         `MAX_BODY_BYTES (environment): "1023" must be at least 1024`,
		"REQUEST_TIMEOUT=30s":         `REQUEST_TIMEOUT (environment): "30s" must be at most 29s`,
		"DRAIN_DELAY=10":              `DRAIN_DELAY (environment): "10" is no duration, such as 10s`,
		"DRAIN_DELAY=-1s":             `DRAIN_DELAY (environment): "-1s" must be at least 0s`,
		"SHUTDOWN_TIMEOUT=0s":         `SHUTDOWN_TIMEOUT (environment): "0s" must be at least 1ms`,
		"GRACE_PERIOD=2s":             `DRAIN_DELAY + SHUTDOWN_TIMEOUT + FLUSH_TIMEOUT: `,
		"CONFIG_FILE=none.yaml":       `CONFIG_FILE (environment): open none.yaml: `,
	} {
		key, text, _ := strings.Cut(variable, "=")
		_, err := Load(environment(t, "", map[string]string{key: text}))
		checkMistakes(t, err, want)
	}
}

func TestMistakesInTheFile(t *testing.T) {
	for content, want := range map[string][]string{
		"\nlog_level: loud\n":                {`log_level (config.yaml:2): "loud" is no log level`},
		"drain_delay: 10\n":                  {`drain_delay (config.yaml:1): "10" is no duration`},
		"loglevel: info\n":                   {`loglevel (config.yaml:1): unknown setting`},
		"LOG_LEVEL: info\n":                  {`LOG_LEVEL (config.yaml:1): unknown setting`},
		"log_level: [info]\n":                {`log_level (config.yaml:1): must be one value`},
		"log_level: |\n  info\n":             {`log_level (config.yaml:1): must be one value`},
		"trusted_proxies: [[::1]]\n":         {`trusted_proxies (config.yaml:1): must be one value`},
		"trusted_proxies: [a, b]\n":          {`trusted_proxies (config.yaml:1): "a" is`, `trusted_proxies (config.yaml:1): "b" is`},
		"log_level: info\nlog_level: info\n": {`config.yaml: [2:1] mapping key "log_level" already defined at [1:1]`},
		"log_level: info\n---\nx: 1\n":       {`config.yaml: must be one document`},
		"- log_level\n":                      {`config.yaml: [1:1] sequence was used where mapping is expected`},
		"x: hunter2\n  y: [\n":               {`config.yaml: [1:4] mapping value is not allowed`},
		"b: 1\nlog_level: loud\na: 1\n":      {`a (config.yaml:3): unknown`, `b (config.yaml:1): unknown`, `log_level (config.yaml:2): "loud"`},
		"drain_delay: 1s\n":                  {`DRAIN_DELAY + SHUTDOWN_TIMEOUT + FLUSH_TIMEOUT: 10s together, must be below GRACE_PERIOD, 10s`},
	} {
		cfg, err := Load(environment(t, content, map[string]string{"HTTP_ADDR": ":81"}))
		checkMistakes(t, err, want...)
		if cfg.HTTPAddr != ":81" {
			t.Errorf("%q: the rest was not read: %v", content, cfg.LogValue())
		}
	}
}

// checkMistakes fails unless each mistake in err starts as wanted.
func checkMistakes(t *testing.T, err error, want ...string) {
	t.Helper()
	got := strings.Split(fmt.Sprint(err), "\n")
	if !slices.EqualFunc(got, want, strings.HasPrefix) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSecrets(t *testing.T) {
	const password = "hunter2"
	folder := t.TempDir()
	file, empty := filepath.Join(folder, "key"), filepath.Join(folder, "empty")
	write(t, file, password+"\n")
	write(t, empty, "\n")
	for name, test := range map[string]struct {
		variable, file, yaml string
		err                  string // what the error starts with
	}{
		"variable":     {variable: password},
		"file":         {file: file},
		"both":         {variable: password, file: file, err: "API_KEY_FILE (environment): API_KEY is set too"},
		"neither":      {err: "API_KEY: required, set it or API_KEY_FILE"},
		"empty file":   {file: empty, err: "API_KEY_FILE (environment): " + empty + " is empty"},
		"missing file": {file: folder + "/none", err: "API_KEY_FILE (environment): open "},
		"not allowed":  {variable: "hunter2 ", err: `API_KEY (environment): "[redacted]" must meet alphanum`},
		"not here":     {variable: password, yaml: "api_key: hunter2\n", err: "api_key (config.yaml:1): a secret, set API_KEY or API_KEY_FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			var cfg struct {
				Key Secret `env:"API_KEY" validate:"required,alphanum"`
			}
			_, err := load(environment(t, test.yaml, map[string]string{"API_KEY": test.variable, "API_KEY_FILE": test.file}), &cfg)
			if ok := test.err == "" && err == nil && string(cfg.Key) == password; !ok &&
				(test.err == "" || !strings.HasPrefix(fmt.Sprint(err), test.err) || cfg.Key != "") {
				t.Errorf("got %q, %v, want %q", string(cfg.Key), err, test.err)
			}
			var shown strings.Builder
			for _, handler := range []slog.Handler{slog.NewJSONHandler(&shown, nil), slog.NewTextHandler(&shown, nil)} {
				slog.New(handler).Info("x", slog.Any("error", err), slog.Any("config", cfg), slog.Any("key", cfg.Key))
			}
			if fmt.Fprintf(&shown, "%v %+v %#v %s", cfg, cfg, cfg, cfg.Key); strings.Contains(shown.String(), password) {
				t.Errorf("the secret is shown: %s", &shown)
			}
		})
	}
}

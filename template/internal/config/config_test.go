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
	"time"
)

// environment returns variables and a configuration file, where it has content. What is
// required is set to the URL of nothing, so that a new setting breaks no test.
func environment(t testing.TB, file string, variables map[string]string) func(string) string {
	t.Helper()
	env := map[string]string{}
	for field := range reflect.TypeFor[Config]().Fields() {
		if strings.Contains(field.Tag.Get("validate"), "required") && field.Tag.Get("default") == "" {
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
	got, err := Load(environment(t, "http_addr: 127.0.0.1:8000 # as it is\nlog_level: debug\nmax_body_bytes: 2048\n",
		map[string]string{"LOG_LEVEL": "WARN", "MAX_BODY_BYTES": "", "REQUEST_TIMEOUT": "29s"}))
	must(t, err)
	shown := got.LogValue().String()
	for _, want := range []string{
		"LOG_FORMAT=json", "LOG_LEVEL=WARN", "HTTP_ADDR=127.0.0.1:8000", "REQUEST_TIMEOUT=29s", "MAX_BODY_BYTES=2048",
	} {
		if !strings.Contains(shown, want) {
			t.Errorf("no %s in %s", want, shown)
		}
	}
}

func TestWaysToWriteAList(t *testing.T) {
	want := []string{"10.0.0.0/8", "::1"}
	for _, content := range []string{
		"trusted_proxies: 10.0.0.0/8, ::1\n",
		"trusted_proxies: [10.0.0.0/8, \"::1\"]\n",
		"trusted_proxies:\n  - 10.0.0.0/8\n  # this machine\n  - ::1\n",
		"\ufefftrusted_proxies:\r\n- 10.0.0.0/8\r\n- ::1\r\n",
	} {
		if got, err := Load(environment(t, content, nil)); err != nil || !slices.Equal(got.TrustedProxies, want) {
			t.Errorf("%q: got %q, %v", content, got.TrustedProxies, err)
		}
	}
}

func TestMistakesAreNamed(t *testing.T) {
	for variable, want := range map[string]string{
		"HTTP_ADDR=8080":              `HTTP_ADDR (environment): "8080" does not satisfy address`,
		"ADMIN_ADDR=:65536":           `ADMIN_ADDR (environment): ":65536" does not satisfy address`,
		"LOG_LEVEL=loud":              `environment: 'LOG_LEVEL' slog: level string "loud"`,
		"LOG_FORMAT=xml":              `LOG_FORMAT (environment): "xml" does not satisfy oneof=json text`,
		"TRUSTED_PROXIES=10.0.0.0/33": `TRUSTED_PROXIES[0] (environment): "10.0.0.0/33" does not satisfy ip|cidr`,
		"MAX_BODY_BYTES=1Mi":          `environment: 'MAX_BODY_BYTES' cannot parse value as 'int64'`,
		"MAX_BODY_BYTES=1023":         `MAX_BODY_BYTES (environment): "1023" does not satisfy min=1024`,
		"REQUEST_TIMEOUT=30s":         `REQUEST_TIMEOUT (environment): "30s" does not satisfy max=29s`,
		"DRAIN_DELAY=10":              `environment: 'DRAIN_DELAY' time: missing unit in duration`,
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
		"log_level: loud\n":                  {`config.yaml: 'LOG_LEVEL' slog: level string "loud"`},
		"drain_delay: 10\n":                  {`config.yaml: 'DRAIN_DELAY' time: missing unit`},
		"max_body_bytes: 2048.5\n":           {`config.yaml: 'MAX_BODY_BYTES' cannot parse value`},
		"colour: red\nloglevel: info\n":      {`config.yaml: 'config.Config' has invalid keys: colour, loglevel`},
		"log_level: [info, {}]\n":            {`config.yaml: `},
		"log_level: info\nlog_level: info\n": {`config.yaml: [2:1] mapping key "log_level" already defined at [1:1]`},
		"LOG_LEVEL: info\n":                  {`config.yaml: LOG_LEVEL must be in lower case`},
		"- log_level\n":                      {`config.yaml: [1:1] `},
		"x: hunter2\n  y: [\n":               {`config.yaml: [1:4] mapping value is not allowed`},
		"b: 1\nlog_level: loud\n":            {`config.yaml: 'LOG_LEVEL' slog: `, `'config.Config' has invalid keys: b`},
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

func TestASecretIsShownToNobody(t *testing.T) {
	secret := Secret("hunter2")
	var shown strings.Builder
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&shown, nil), slog.NewTextHandler(&shown, nil)} {
		slog.New(handler).InfoContext(t.Context(), "x", slog.Any("key", secret), slog.Any("in", struct{ S Secret }{secret}))
	}
	if fmt.Fprintf(&shown, "%v %+v %#v %s", secret, secret, secret, secret); strings.Contains(shown.String(), "hunter2") {
		t.Errorf("the secret is shown: %s", &shown)
	}
}

// follower is a service that follows its file.
type follower struct {
	*Live

	lines chan string // of its log
}

func (f follower) Write(line []byte) (int, error) {
	f.lines <- string(line)
	return len(line), nil
}

func follow(t *testing.T, path string, reread time.Duration) follower {
	t.Helper()
	live, err := NewLive(environment(t, "", map[string]string{"CONFIG_FILE": path}))
	must(t, err)
	live.reread = reread
	f := follower{live, make(chan string, 1000)}
	go f.Watch(t.Context(), slog.New(slog.NewJSONHandler(f, nil)), func(bool) {})
	return f
}

// expect waits for a line that holds everything wanted.
func (f follower) expect(t *testing.T, want ...string) {
	t.Helper()
	select {
	case line := <-f.lines:
		for _, text := range want {
			if !strings.Contains(line, text) {
				t.Fatalf("%q is missing in: %s", text, line)
			}
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("no line with %q", want)
	}
}

// swap changes a ConfigMap's folder step by step like the kubelet.
func swap(t *testing.T, folder, version, content string) {
	t.Helper()
	data := filepath.Join(folder, "..data")
	old, _ := os.Readlink(data)
	must(t, os.Mkdir(filepath.Join(folder, version), 0o700))
	write(t, filepath.Join(folder, version, "config.yaml"), content)
	must(t, os.Symlink(version, data+"_tmp"), os.Rename(data+"_tmp", data))
	if old == "" {
		must(t, os.Symlink("..data/config.yaml", filepath.Join(folder, "config.yaml")))
	} else {
		must(t, os.RemoveAll(filepath.Join(folder, old)))
	}
}

func TestFollowsConfigMap(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	swap(t, folder, "..1", "log_level: info\n")
	f := follow(t, filepath.Join(folder, "config.yaml"), time.Hour)
	swap(t, folder, "..2", "log_level: debug\n")
	f.expect(t, "INFO", "configuration reloaded", `"changed":{"LOG_LEVEL":"DEBUG"}`)
	swap(t, folder, "..3", "log_level: loud\nmax_body_bytes: 2048\nmode: x\n")
	f.expect(t, "ERROR", "refused", `'LOG_LEVEL' slog: level string \"loud\"`, "invalid keys: mode")
	if cfg := f.Load(); cfg.LogLevel != slog.LevelDebug || cfg.MaxBodyBytes == 2048 {
		t.Errorf("a bad file changed the settings: %v", cfg.LogValue())
	}
	swap(t, folder, "..4", "log_level: error\n")
	f.expect(t, "configuration reloaded", `"changed":{"LOG_LEVEL":"ERROR"}`)
}

func TestNamesWhatNeedsARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config.yaml")
	write(t, path, "http_addr: :8000\n")
	f := follow(t, path, time.Hour)
	write(t, path, "http_addr: :8001\nflush_timeout: 1s\nmax_body_bytes: 2048\nrequest_timeout: 2s\n")
	f.expect(t, "configuration reloaded", `"changed":{"MAX_BODY_BYTES":"2048","REQUEST_TIMEOUT":"2s"}`)
	f.expect(t, "WARN", "restart required", `["HTTP_ADDR","FLUSH_TIMEOUT"]`)
	if cfg := f.Load(); cfg.MaxBodyBytes != 2048 || cfg.HTTPAddr != ":8000" {
		t.Errorf("got %v", cfg.LogValue())
	}
	write(t, path, "http_addr: :8001\nmax_body_bytes: 2048\n")
	f.expect(t, "configuration reloaded", `"changed":{"REQUEST_TIMEOUT":"20s"}`)
	f.expect(t, "restart required", `["HTTP_ADDR"]`)
}

func TestReadsWhatItCannotSeeChange(t *testing.T) {
	t.Parallel()
	target, path := filepath.Join(t.TempDir(), "elsewhere.yaml"), filepath.Join(t.TempDir(), "config.yaml")
	write(t, target, "log_level: info\n")
	must(t, os.Symlink(target, path))
	f := follow(t, path, 20*time.Millisecond)
	write(t, target, "log_level: debug\n")
	f.expect(t, "configuration reloaded", `"changed":{"LOG_LEVEL":"DEBUG"}`)
}

package config

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func environment(variables map[string]string) *Env {
	return NewEnv(func(key string) string { return variables[key] })
}

// withFile returns the environment of a service with a configuration file.
func withFile(t *testing.T, content string, variables map[string]string) *Env {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"CONFIG_FILE": path}
	maps.Copy(all, variables)
	return environment(all)
}

func TestDefaultsAreValid(t *testing.T) {
	env := environment(map[string]string{"UNKNOWN_TO_US": "ignored", "LOG_LEVEL": ""})
	cfg := Load(env)
	if err := env.Err(); err != nil {
		t.Fatal(err)
	}
	if cfg.HTTPAddr == "" || cfg.AdminAddr == "" || cfg.DrainDelay <= 0 || cfg.MaxBodyBytes != 1<<20 {
		t.Errorf("got %+v", cfg)
	}
}

func TestEnvironmentOverridesFileOverridesDefaults(t *testing.T) {
	env := withFile(t, `
# What the environment leaves alone.
http_addr: 127.0.0.1:8000
admin_addr: "[::1]:9000"
log_level: debug
trusted_proxies: 10.0.0.0/8, ::1
drain_delay: 0s
max_body_bytes: 2048
`, map[string]string{
		"LOG_LEVEL":        "WARN",
		"SHUTDOWN_TIMEOUT": "1m",
		"FLUSH_TIMEOUT":    "1500ms",
		"REQUEST_TIMEOUT":  "29s",
		"GRACE_PERIOD":     "2m",
	})
	got := Load(env)
	if err := env.Err(); err != nil {
		t.Fatal(err)
	}
	want := Config{
		Reloadable:      Reloadable{LogLevel: slog.LevelWarn, MaxBodyBytes: 2048, RequestTimeout: 29 * time.Second},
		HTTPAddr:        "127.0.0.1:8000",
		AdminAddr:       "[::1]:9000",
		TrustedProxies:  []string{"10.0.0.0/8", "::1"},
		DrainDelay:      0,
		ShutdownTimeout: time.Minute,
		FlushTimeout:    1500 * time.Millisecond,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}

	shown := env.LogValue().String()
	for _, want := range []string{"LOG_LEVEL=WARN", "TRUSTED_PROXIES=10.0.0.0/8, ::1", "MAX_BODY_BYTES=2048"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the log does not show %s: %s", want, shown)
		}
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

func TestMistakesNameTheirSettingAndWhereItStands(t *testing.T) {
	for variable, want := range map[string]string{
		"HTTP_ADDR=8080":              `HTTP_ADDR (environment): "8080" is no listen address`,
		"HTTP_ADDR=:http":             `HTTP_ADDR (environment): ":http" is no listen address`,
		"ADMIN_ADDR=:65536":           `ADMIN_ADDR (environment): ":65536" is no listen address`,
		"LOG_LEVEL=loud":              `LOG_LEVEL (environment): "loud" is no log level, use debug, info, warn or error`,
		"TRUSTED_PROXIES=10.0.0.0/33": `TRUSTED_PROXIES (environment): "10.0.0.0/33" is no IP address`,
		"MAX_BODY_BYTES=1Mi":          `MAX_BODY_BYTES (environment): "1Mi" is no number of bytes from 1024 to 1073741824`,
		"MAX_BODY_BYTES=1023":         `MAX_BODY_BYTES (environment): "1023" is no number of bytes`,
		"MAX_BODY_BYTES=1073741825":   `MAX_BODY_BYTES (environment): "1073741825" is no number of bytes`,
		"REQUEST_TIMEOUT=30s":         `REQUEST_TIMEOUT (environment): "30s" is no duration from 1ms to 29s`,
		"DRAIN_DELAY=10":              `DRAIN_DELAY (environment): "10" is no duration`,
		"DRAIN_DELAY=-1s":             `DRAIN_DELAY (environment): "-1s" is no duration from 0s`,
		"SHUTDOWN_TIMEOUT=0s":         `SHUTDOWN_TIMEOUT (environment): "0s" is no duration from 1ms`,
		"FLUSH_TIMEOUT=2562047h":      `FLUSH_TIMEOUT (environment): "2562047h" is no duration`,
		"GRACE_PERIOD=soon":           `GRACE_PERIOD (environment): "soon" is no duration`,
		"GRACE_PERIOD=2s":             `DRAIN_DELAY + SHUTDOWN_TIMEOUT + FLUSH_TIMEOUT: `,
		"CONFIG_FILE=none.yaml":       `CONFIG_FILE (environment): open none.yaml: `,
	} {
		t.Run(variable, func(t *testing.T) {
			key, value, _ := strings.Cut(variable, "=")
			env := environment(map[string]string{key: value})
			Load(env)
			checkMistakes(t, env, want)
		})
	}
}

func TestMistakesInTheFileNameTheirLine(t *testing.T) {
	tests := map[string]struct {
		content string
		want    []string
	}{
		"value":       {"\nlog_level: loud\n", []string{`log_level (config.yaml:2): "loud" is no log level`}},
		"no unit":     {"drain_delay: 10\n", []string{`drain_delay (config.yaml:1): "10" is no duration`}},
		"unknown":     {"# x\nloglevel: info\n", []string{`loglevel (config.yaml:2): unknown setting`}},
		"upper case":  {"LOG_LEVEL: info\n", []string{`LOG_LEVEL (config.yaml:1): unknown setting`}},
		"no value":    {"log_level:\n", []string{`log_level (config.yaml:1): must be one value`}},
		"nested":      {"log:\n  level: info\n", []string{`log (config.yaml:1): must be one value`}},
		"block":       {"log_level: |\n  info\n", []string{`log_level (config.yaml:1): must be one value`}},
		"twice":       {"log_level: info\n\"log_level\": info\n", []string{`config.yaml: [2:1] mapping key "log_level" already defined at [1:1]`}},
		"no settings": {"- log_level\n", []string{`config.yaml: must be settings, each as name: value`}},
		"syntax":      {"log_level: info\n  drain_delay: 10s\n", []string{`config.yaml: [1:12] mapping value is not allowed`}},
		"many":        {"a: 1\nlog_level: loud\nb: 2\n", []string{`log_level (config.yaml:2): "loud"`, `a (config.yaml:1): unknown`, `b (config.yaml:3): unknown`}},
		"arithmetic": {"drain_delay: 30s\n", []string{
			`DRAIN_DELAY + SHUTDOWN_TIMEOUT + FLUSH_TIMEOUT: 1m0s together, must be below GRACE_PERIOD, 1m0s`,
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			env := withFile(t, test.content, map[string]string{
				"SHUTDOWN_TIMEOUT": "25s", "FLUSH_TIMEOUT": "5s", "GRACE_PERIOD": "1m",
			})
			Load(env)
			checkMistakes(t, env, test.want...)
		})
	}
}

// checkMistakes fails unless each mistake in env starts as wanted.
func checkMistakes(t *testing.T, env *Env, want ...string) {
	t.Helper()
	if env.Err() == nil {
		t.Fatal("no mistake")
	}
	got := strings.Split(env.Err().Error(), "\n")
	if len(got) != len(want) {
		t.Fatalf("got %d mistakes, want %d: %q", len(got), len(want), got)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("got %q, want %q", got[i], want[i])
		}
	}
}

func TestMistakeInTheFileDoesNotHideBehindTheEnvironment(t *testing.T) {
	env := withFile(t, "log_level: loud\n", map[string]string{"LOG_LEVEL": "info"})
	if Load(env); env.Err() == nil {
		t.Error("no mistake")
	}
}

func TestSyntaxMistakeShowsNothingElseOfTheFile(t *testing.T) {
	env := withFile(t, "database_url: postgres://user:hunter2@db/app\n  x: [\n", nil)
	if Load(env); env.Err() == nil || strings.Contains(env.Err().Error(), "hunter2") {
		t.Errorf("got %v", env.Err())
	}
}

// FuzzConfigFile reads any file: it must end in mistakes, or in settings within
// their limits that say the same when they are written down again.
func FuzzConfigFile(f *testing.F) {
	for _, content := range []string{
		"",
		"log_level: debug # comment\nmax_body_bytes: 4096\nrequest_timeout: 1s\n",
		"http_addr: :80\nadmin_addr: \"[::1]:9090\"\ntrusted_proxies: \"10.0.0.0/8, ::1\"\n",
		"trusted_proxies: 10.0.0.1\ndrain_delay: 0s\nshutdown_timeout: 5s\nflush_timeout: 1s\ngrace_period: 1m\n",
		"%YAML 1.2\n---\n{log_level: info, ? a : &b c, <<: *b}\n",
		"log_level: !!str info\n---\nflush_timeout: >-\n  1s\n",
		"max_body_bytes: 0x400\r\n\r\n\"log_level\": 'in\\fo'\n",
	} {
		f.Add(content)
	}
	load := func(content string) (Config, *Env) {
		env := environment(nil)
		env.parse([]byte(content))
		return Load(env), env
	}
	f.Fuzz(func(t *testing.T, content string) {
		cfg, env := load(content)
		if env.Err() != nil {
			return
		}
		if cfg.MaxBodyBytes < 1<<10 || cfg.MaxBodyBytes > 1<<30 || cfg.RequestTimeout <= 0 ||
			cfg.RequestTimeout > MaxRequestTimeout || cfg.DrainDelay < 0 || cfg.ShutdownTimeout <= 0 ||
			cfg.FlushTimeout <= 0 || cfg.HTTPAddr == "" || cfg.AdminAddr == "" {
			t.Errorf("out of its limits: %+v", cfg)
		}
		settings := map[string]string{}
		for name, s := range env.settings {
			settings[name] = s.text
		}
		written, err := json.Marshal(settings) // JSON is YAML
		if err != nil {
			t.Fatal(err)
		}
		if again, env := load(string(written)); env.Err() != nil || !reflect.DeepEqual(again, cfg) {
			t.Errorf("%s gives %+v, %v, want %+v", written, again, env.Err(), cfg)
		}
	})
}

// watched is a service that follows its file.
type watched struct {
	*Live

	lines     chan string // of its log
	succeeded atomic.Int32
	failed    atomic.Int32
}

func (w *watched) Write(line []byte) (int, error) {
	w.lines <- string(line)
	return len(line), nil
}

// follow starts a service whose CONFIG_FILE is path; it reads the file every
// reread, besides what it is told about it.
func follow(t *testing.T, path string, reread time.Duration, variables map[string]string) *watched {
	t.Helper()
	env := NewEnv(func(key string) string {
		if key == "CONFIG_FILE" {
			return path
		}
		return variables[key]
	})
	w := &watched{Live: NewLive(env, Load(env)), lines: make(chan string, 1000)}
	if err := env.Err(); err != nil {
		t.Fatal(err)
	}
	w.reread = reread
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Watch(ctx, slog.New(slog.NewJSONHandler(w, nil)), func(ok bool) {
			if ok {
				w.succeeded.Add(1)
			} else {
				w.failed.Add(1)
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return w
}

// expect fails unless the next line of the log holds everything wanted.
func (w *watched) expect(t *testing.T, want ...string) {
	t.Helper()
	select {
	case line := <-w.lines:
		for _, text := range want {
			if !strings.Contains(line, text) {
				t.Fatalf("%q is missing in: %s", text, line)
			}
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("no line with %q", want)
	}
}

// expectLevel waits for a reload that changes nothing but the level.
func (w *watched) expectLevel(t *testing.T, level slog.Level) {
	t.Helper()
	w.expect(t, "INFO", "configuration reloaded", fmt.Sprintf(`"changed":{"LOG_LEVEL":%q}`, strings.ToLower(level.String())))
	if got := w.Load().LogLevel; got != level {
		t.Fatalf("the level is %v, want %v", got, level)
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(content), 0o600))
}

// volume is a ConfigMap as the kubelet mounts it.
type volume struct {
	folder   string
	versions int
}

// update swaps a new version in, step by step like the kubelet.
func (v *volume) update(t *testing.T, content string) {
	t.Helper()
	file, data := filepath.Join(v.folder, "config.yaml"), filepath.Join(v.folder, "..data")
	old, _ := os.Readlink(data)
	v.versions++
	version := fmt.Sprintf("..2026_11_23_12_00_%02d.%d", v.versions, v.versions)
	must(t, os.Mkdir(filepath.Join(v.folder, version), 0o700))
	write(t, filepath.Join(v.folder, version, "config.yaml"), content)
	must(t, os.Symlink(version, data+"_tmp"), os.Rename(data+"_tmp", data))
	if old == "" {
		must(t, os.Symlink("..data/config.yaml", file))
	} else {
		must(t, os.RemoveAll(filepath.Join(v.folder, old)))
	}
}

func TestFollowsConfigMap(t *testing.T) {
	t.Parallel()
	v := &volume{folder: t.TempDir()}
	v.update(t, "log_level: info\n")
	w := follow(t, filepath.Join(v.folder, "config.yaml"), time.Hour, nil)
	for range 2 {
		v.update(t, "log_level: debug\n")
		w.expectLevel(t, slog.LevelDebug)
		v.update(t, "log_level: error\n")
		w.expectLevel(t, slog.LevelError)
	}

	v.update(t, "log_level: loud\nmax_body_bytes: 2048\nmode: x\n")
	w.expect(t, "ERROR", "refused", `log_level (config.yaml:1): \"loud\" is no log level`, "mode (config.yaml:3): unknown setting")
	if cfg := w.Load(); cfg.LogLevel != slog.LevelError || cfg.MaxBodyBytes == 2048 {
		t.Errorf("a bad file changed the settings: %+v", cfg)
	}
	v.update(t, "log_level: debug\n")
	w.expectLevel(t, slog.LevelDebug)

	// Swaps in one go: the last one counts.
	for _, level := range []string{"info", "warn", "error"} {
		v.update(t, "log_level: "+level+"\n")
	}
	for w.Load().LogLevel != slog.LevelError {
		w.expect(t, "configuration reloaded")
	}
	if w.failed.Load() != 1 || w.succeeded.Load() < 5 {
		t.Errorf("%d reloads succeeded, %d failed", w.succeeded.Load(), w.failed.Load())
	}
}

func TestFollowsPlainFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config.yaml")
	write(t, path, "log_level: info\n")
	w := follow(t, path, time.Hour, nil)

	write(t, path, "log_level: debug\n")
	w.expectLevel(t, slog.LevelDebug)
	write(t, path, "log_level: debug\n")
	write(t, path+".new", "log_level: warn\n")
	must(t, os.Rename(path+".new", path))
	w.expectLevel(t, slog.LevelWarn)
	must(t, os.Remove(path))
	w.expect(t, "ERROR", "refused", "CONFIG_FILE (environment): open ")
	write(t, path, "log_level: warn # as it was\n")
	w.expect(t, "configuration reloaded")
}

func TestChangesThatNeedRestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config.yaml")
	write(t, path, "http_addr: :8000\n")
	w := follow(t, path, time.Hour, map[string]string{"LOG_LEVEL": "warn"})
	before := *w.Load()

	write(t, path, "http_addr: :8001\ndrain_delay: 1s\nmax_body_bytes: 2048\nrequest_timeout: 2s\nlog_level: debug\n")
	w.expect(t, "configuration reloaded", `"changed":{"MAX_BODY_BYTES":"2048","REQUEST_TIMEOUT":"2s"}`)
	w.expect(t, "WARN", "restart required", `["DRAIN_DELAY","HTTP_ADDR"]`)
	want := before
	want.MaxBodyBytes, want.RequestTimeout = 2048, 2*time.Second
	if got := *w.Load(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}

	write(t, path, "http_addr: :8001\nmax_body_bytes: 4096\n")
	w.expect(t, "configuration reloaded", "MAX_BODY_BYTES", `"REQUEST_TIMEOUT":"20s"`)
	w.expect(t, "restart required", `["HTTP_ADDR"]`)
	write(t, path, "http_addr: :8000\nmax_body_bytes: 1024\n")
	w.expect(t, "configuration reloaded", `"changed":{"MAX_BODY_BYTES":"1024"}`)
	write(t, path, "http_addr: :8000\nmax_body_bytes: 2048\n")
	w.expect(t, "configuration reloaded") // and no restart is required
}

func TestEveryReloadableSettingIsNamed(t *testing.T) {
	env := environment(nil)
	Load(env)
	if want := reflect.TypeFor[Reloadable]().NumField(); len(reloadable) != want {
		t.Errorf("%v follow the file, want %d", reloadable, want)
	}
}

func TestReadsWhatItCannotSeeChange(t *testing.T) {
	t.Parallel()
	target := filepath.Join(t.TempDir(), "elsewhere.yaml")
	write(t, target, "log_level: info\n")
	path := filepath.Join(t.TempDir(), "config.yaml")
	must(t, os.Symlink(target, path))
	w := follow(t, path, 20*time.Millisecond, nil)
	write(t, target+".new", "log_level: debug\n")
	must(t, os.Rename(target+".new", target))
	w.expectLevel(t, slog.LevelDebug)
}

func TestOutlivesItsFolder(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "app")
	path := filepath.Join(folder, "config.yaml")
	must(t, os.Mkdir(folder, 0o700))
	write(t, path, "log_level: info\n")
	w := follow(t, path, 20*time.Millisecond, nil)
	must(t, os.Rename(folder, folder+".old"))
	for w.failed.Load() == 0 {
		<-w.lines
	}
	time.Sleep(5 * w.reread) // without another failure
	if w.failed.Load() != 1 {
		t.Errorf("%d failures", w.failed.Load())
	}

	must(t, os.Mkdir(folder, 0o700))
	write(t, path+".new", "log_level: debug\n")
	must(t, os.Rename(path+".new", path))
	for line := range w.lines {
		if strings.Contains(line, "configuration reloaded") {
			break
		}
	}
	write(t, path+".new", "log_level: error\n")
	must(t, os.Rename(path+".new", path))
	w.expectLevel(t, slog.LevelError)
}

func TestWaitsForTheWholeFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	reads := 0
	env := NewEnv(func(key string) string {
		if key != "CONFIG_FILE" {
			return ""
		}
		reads++ // each finds another line written
		write(t, path, strings.Repeat("# a line\n", reads))
		return path
	})
	NewLive(env, Load(env)).reload(t.Context(), slog.New(slog.DiscardHandler), func(bool) { t.Error("reloaded") })
	if reads < 3 {
		t.Errorf("the file was read %d times", reads)
	}
}

func TestWithoutFileThereIsNothingToWatch(t *testing.T) {
	env := environment(nil)
	NewLive(env, Load(env)).Watch(t.Context(), slog.New(slog.DiscardHandler), func(bool) { t.Error("reloaded") })
}

package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// until reads lines until one holds text.
func (f follower) until(t *testing.T, text string) {
	t.Helper()
	for timeout := time.After(10 * time.Second); ; {
		select {
		case line := <-f.lines:
			if strings.Contains(line, text) {
				return
			}
		case <-timeout:
			t.Fatalf("no line with %q", text)
		}
	}
}

func TestTheLastOfManySwapsCounts(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	swap(t, folder, "..0", "log_level: info\n")
	f := follow(t, filepath.Join(folder, "config.yaml"), time.Hour)
	for i, level := range []string{"debug", "warn", "debug", "warn", "debug", "warn", "error"} {
		swap(t, folder, fmt.Sprintf("..%d", i+1), "log_level: "+level+"\n")
	}
	f.until(t, `"LOG_LEVEL":"ERROR"`)
}

func TestFollowsEditors(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config.yaml")
	write(t, path, "log_level: info\n")
	f := follow(t, path, time.Hour)
	write(t, path, "log_level: debug\n")
	f.until(t, `"LOG_LEVEL":"DEBUG"`)
	write(t, path+".new", "log_level: warn\n")
	must(t, os.Rename(path+".new", path))
	f.until(t, `"LOG_LEVEL":"WARN"`)
	must(t, os.Remove(path))
	f.expect(t, "ERROR", "refused", "CONFIG_FILE (environment): open ")
	write(t, path, "log_level: warn # as it was\n")
	f.expect(t, "configuration reloaded")
}

func TestWhatWasTakenBackNeedsNoRestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config.yaml")
	write(t, path, "http_addr: :8000\n")
	f := follow(t, path, time.Hour)
	write(t, path, "http_addr: :8001\n")
	f.until(t, "restart required")
	write(t, path, "http_addr: :8000\n")
	f.expect(t, "configuration reloaded")
	write(t, path, "http_addr: :8000\nlog_level: debug\n")
	f.expect(t, "configuration reloaded")
}

func TestAFailureIsToldOnceAndAFolderMayComeBack(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "app")
	path := filepath.Join(folder, "config.yaml")
	must(t, os.Mkdir(folder, 0o700))
	write(t, path, "log_level: info\n")
	f := follow(t, path, 20*time.Millisecond)
	must(t, os.Rename(folder, folder+".old"))
	f.until(t, "refused")
	time.Sleep(4 * settle)
	for len(f.lines) > 0 {
		if line := <-f.lines; strings.Contains(line, "refused") {
			t.Errorf("told again: %s", line)
		}
	}
	must(t, os.Mkdir(folder, 0o700))
	write(t, path, "log_level: debug\n")
	f.until(t, `"LOG_LEVEL":"DEBUG"`)
	write(t, path, "log_level: error\n")
	f.until(t, `"LOG_LEVEL":"ERROR"`)
}

func TestAChangeBetweenLoadAndWatchIsSeen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	write(t, path, "log_level: info\n")
	live, err := NewLive(environment(t, "", map[string]string{"CONFIG_FILE": path}))
	must(t, err)
	write(t, path, "log_level: debug\n")
	f := follower{live, make(chan string, 1000)}
	go f.Watch(t.Context(), slog.New(slog.NewJSONHandler(f, nil)), func(bool) {})
	f.until(t, `"LOG_LEVEL":"DEBUG"`)
}

func TestWaitsForTheWholeFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	env := environment(t, "", nil)
	reads := 0
	live, err := NewLive(func(key string) string {
		if key != "CONFIG_FILE" {
			return env(key)
		}
		reads++ // each finds another line written
		write(t, path, strings.Repeat("# a line\n", reads))
		return path
	})
	must(t, err)
	live.reload(t.Context(), slog.New(slog.DiscardHandler), func(bool) { t.Error("reloaded") })
	if reads < 3 {
		t.Errorf("the file was read %d times", reads)
	}
}

func TestWithoutFileThereIsNothingToWatch(t *testing.T) {
	live, err := NewLive(environment(t, "", nil))
	must(t, err)
	live.Watch(t.Context(), slog.New(slog.DiscardHandler), func(bool) { t.Error("reloaded") })
}

// FuzzConfigFile reads any file: it must end in mistakes, or in settings within
// their limits that say the same when they are written down again.
func FuzzConfigFile(f *testing.F) {
	for _, content := range []string{
		"log_level: debug # comment\nmax_body_bytes: 4096\nrequest_timeout: 1s\n",
		"http_addr: :80\nadmin_addr: \"[::1]:9090\"\ntrusted_proxies: \"10.0.0.0/8, ::1\"\n",
		"trusted_proxies: [10.0.0.1]\ndrain_delay: 0s\nshutdown_timeout: 5s\nflush_timeout: 1s\ngrace_period: 1m\n",
		"%YAML 1.2\n---\n{log_level: info, ? a : &b c, <<: *b}\n",
		"log_level: !!str info\n---\nflush_timeout: >-\n  1s\n",
		"max_body_bytes: 0x400\r\n\r\n\"log_level\": 'in\\fo'\n",
	} {
		f.Add(content)
	}
	getenv := environment(f, "# none yet", nil)
	f.Fuzz(func(t *testing.T, content string) {
		write(t, getenv("CONFIG_FILE"), content)
		cfg, err := Load(getenv)
		if err != nil {
			return
		}
		if cfg.MaxBodyBytes < 1<<10 || cfg.MaxBodyBytes > 1<<30 || cfg.RequestTimeout <= 0 ||
			cfg.RequestTimeout > 29*time.Second || cfg.HTTPAddr == "" || cfg.AdminAddr == "" ||
			cfg.DrainDelay+cfg.ShutdownTimeout+cfg.FlushTimeout >= cfg.GracePeriod {
			t.Errorf("out of its limits: %v", cfg.LogValue())
		}
		settings := map[string]any{}
		for field, value := range reflect.ValueOf(cfg).Fields() {
			name := strings.ToLower(field.Tag.Get("env"))
			if settings[name] = fmt.Sprint(value); value.Kind() == reflect.Slice {
				settings[name] = value.Interface()
			}
			if field.Type == reflect.TypeFor[Secret]() {
				delete(settings, name)
			}
		}
		written, err := json.Marshal(settings) // JSON is YAML
		must(t, err)
		write(t, getenv("CONFIG_FILE"), string(written))
		if again, err := Load(getenv); err != nil || !reflect.DeepEqual(again, cfg) {
			t.Errorf("%s gives %v, %v, want %v", written, again.LogValue(), err, cfg.LogValue())
		}
	})
}

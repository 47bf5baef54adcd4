package config

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

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

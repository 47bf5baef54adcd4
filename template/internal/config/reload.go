package config

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long a file must stay the same to count as written.
const settle = 100 * time.Millisecond

// Live holds the settings in effect, which its Load returns.
type Live struct {
	atomic.Pointer[Config]

	getenv  func(string) string
	content string        // of the file, as it was read last
	reread  time.Duration // how often the file is read without a sign of change
}

// NewLive reads the settings as Load does.
func NewLive(getenv func(string) string) (*Live, error) {
	l := &Live{getenv: getenv, reread: time.Minute}
	l.content = l.read() // first, so that no change falls in between
	cfg, err := Load(getenv)
	l.Store(&cfg)
	return l, err
}

// read returns the content of the file, or why there is none.
func (l *Live) read() string {
	content, err := os.ReadFile(l.getenv("CONFIG_FILE"))
	if err != nil {
		return err.Error()
	}
	return string(content)
}

// Watch follows the file until ctx ends, and reports whether each change was accepted.
func (l *Live) Watch(ctx context.Context, log *slog.Logger, reloaded func(ok bool)) {
	for path := l.getenv("CONFIG_FILE"); path != "" && ctx.Err() == nil; {
		// A new watch for each read, which begins before it, outlives a folder that is replaced. It is
		// on the folder: Kubernetes swaps a symlink there, which a watch on the file would not outlive.
		watcher, err := fsnotify.NewWatcher()
		if err == nil {
			err = watcher.Add(filepath.Dir(path))
		} else {
			watcher = &fsnotify.Watcher{} // stays silent
		}
		if err != nil {
			log.WarnContext(ctx, "configuration is not watched, only read at intervals", slog.Any("error", err))
		}
		l.reload(ctx, log, reloaded)
		select {
		case <-ctx.Done():
		case <-watcher.Events:
			time.Sleep(settle)
		case <-time.After(l.reread):
		}
		if watcher.Events != nil {
			_ = watcher.Close()
		}
	}
}

// reload puts the file into effect where it has changed and holds no mistake.
func (l *Live) reload(ctx context.Context, log *slog.Logger, reloaded func(ok bool)) {
	content := l.read()
	if content == l.content {
		return
	}
	next, err := Load(l.getenv)
	if time.Sleep(settle); l.read() != content {
		return // half written: what follows is a change again
	}
	l.content = content
	if err != nil {
		reloaded(false)
		log.ErrorContext(ctx, "configuration refused, the old one stays", slog.Any("error", err))
		return
	}
	cfg := *l.Load()
	var changed []slog.Attr
	var restart []string
	before := cfg.LogValue().Group()
	for i, after := range next.LogValue().Group() {
		switch {
		case after.Equal(before[i]):
		case reflect.TypeFor[Config]().Field(i).Tag.Get("reload") == "true":
			changed = append(changed, after)
			reflect.ValueOf(&cfg).Elem().Field(i).Set(reflect.ValueOf(next).Field(i))
		default:
			restart = append(restart, after.Key)
		}
	}
	quieter := next.LogLevel > l.Load().LogLevel
	l.Store(&cfg)
	if quieter {
		defer reloaded(true) // or the lines below would be hidden
	} else {
		reloaded(true)
	}
	log.InfoContext(ctx, "configuration reloaded", slog.GroupAttrs("changed", changed...))
	if len(restart) > 0 {
		log.WarnContext(ctx, "restart required", slog.Any("settings", restart))
	}
}

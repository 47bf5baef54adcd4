package config

import (
	"context"
	"fmt"
	"log/slog"
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

	getenv func(string) string
	file   string        // what was read last
	reread time.Duration // how often the file is read without a sign of change
}

// NewLive reads the settings as Load does.
func NewLive(getenv func(string) string) (*Live, error) {
	cfg, file, err := read(getenv)
	l := &Live{getenv: getenv, file: file, reread: time.Minute}
	l.Store(&cfg)
	return l, err
}

// Watch follows the file until ctx ends, and reports whether each change was accepted.
func (l *Live) Watch(ctx context.Context, log *slog.Logger, reloaded func(ok bool)) {
	path := l.getenv("CONFIG_FILE")
	for path != "" && ctx.Err() == nil {
		// Each read has a new watch, which outlives a folder that is replaced. It
		// begins before the read, so that no change falls in between.
		events, stop, err := watch(filepath.Dir(path))
		if err != nil {
			log.WarnContext(ctx, "configuration is not watched, only read at intervals", slog.Any("error", err))
		}
		l.reload(ctx, log, reloaded)
		select {
		case <-ctx.Done():
		case <-events:
			time.Sleep(settle)
		case <-time.After(l.reread):
		}
		stop()
	}
}

// watch watches the file's folder: Kubernetes swaps a symlink beside the file,
// which a watch on the file itself would not outlive.
func watch(folder string) (events <-chan fsnotify.Event, stop func(), err error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, func() {}, err
	}
	return watcher.Events, func() { _ = watcher.Close() }, watcher.Add(folder)
}

// reload puts the file into effect where it has changed and holds no mistake.
func (l *Live) reload(ctx context.Context, log *slog.Logger, reloaded func(ok bool)) {
	next, file, err := read(l.getenv)
	if file == l.file {
		return
	}
	time.Sleep(settle)
	if _, again, _ := read(l.getenv); again != file {
		return // half written: what follows is a change again
	}
	l.file = file
	if err != nil {
		reloaded(false)
		log.ErrorContext(ctx, "configuration refused, the old one stays", slog.Any("error", err))
		return
	}

	cfg := *l.Load()
	var changed []slog.Attr
	var restart []string
	for field, value := range reflect.ValueOf(&cfg).Elem().Fields() {
		key, wanted := field.Tag.Get("env"), reflect.ValueOf(next).FieldByIndex(field.Index)
		switch {
		case reflect.DeepEqual(value.Interface(), wanted.Interface()):
		case field.Tag.Get("reload") == "true":
			changed = append(changed, slog.String(key, fmt.Sprint(wanted)))
			value.Set(wanted)
		default:
			restart = append(restart, key)
		}
	}
	l.Store(&cfg)
	reloaded(true)
	log.InfoContext(ctx, "configuration reloaded", slog.GroupAttrs("changed", changed...))
	if len(restart) > 0 {
		log.WarnContext(ctx, "restart required", slog.Any("settings", restart))
	}
}

package config

import (
	"context"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long a file must stay the same to count as written.
const settle = 100 * time.Millisecond

// Live holds the settings in effect, which Load returns.
type Live struct {
	atomic.Pointer[Config]

	env    *Env          // what was read last, with the settings in effect
	reread time.Duration // how often the file is read without a sign of change
}

// NewLive returns the settings that were read from env at the start.
func NewLive(env *Env, cfg Config) *Live {
	l := &Live{env: env, reread: time.Minute}
	l.Store(&cfg)
	return l
}

// Watch follows the file until ctx ends, and reports whether each change was accepted.
func (l *Live) Watch(ctx context.Context, log *slog.Logger, reloaded func(ok bool)) {
	for l.env.path != "" && ctx.Err() == nil {
		// Each read has a new watch, which outlives a folder that is replaced. It
		// begins before the read, so that no change falls in between.
		watcher, err := watch(filepath.Dir(l.env.path))
		if err != nil {
			log.WarnContext(ctx, "configuration is not watched, only read at intervals", slog.Any("error", err))
		}
		l.reload(ctx, log, reloaded)
		select {
		case <-ctx.Done():
		case <-time.After(l.reread):
		case <-watcher.Events:
			time.Sleep(settle)
		}
		if watcher.Events != nil {
			_ = watcher.Close()
		}
	}
}

// watch watches the file's folder: Kubernetes swaps a symlink beside the file,
// which a watch on the file itself would not outlive.
func watch(folder string) (*fsnotify.Watcher, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return &fsnotify.Watcher{}, err // stays silent
	}
	return watcher, watcher.Add(folder)
}

// reload puts the file into effect where it has changed and holds no mistake.
func (l *Live) reload(ctx context.Context, log *slog.Logger, reloaded func(ok bool)) {
	env := NewEnv(l.env.getenv)
	if env.content == l.env.content {
		return
	}
	time.Sleep(settle)
	if NewEnv(l.env.getenv).content != env.content {
		return // half written: what follows is a change again
	}
	l.env.content = env.content
	cfg, next := *l.Load(), Load(env)
	if err := env.Err(); err != nil {
		reloaded(false)
		log.ErrorContext(ctx, "configuration refused, the old one stays", slog.Any("error", err))
		return
	}
	lower := next.LogLevel < cfg.LogLevel
	cfg.Reloadable = next.Reloadable
	l.Store(&cfg)
	if lower {
		reloaded(true)
	} else {
		defer reloaded(true) // a higher level would hide the lines below
	}

	var changed []slog.Attr
	var restart []string
	for _, name := range slices.Sorted(maps.Keys(env.settings)) {
		key, s := strings.ToUpper(name), env.settings[name]
		switch {
		case s.text == l.env.settings[name].text:
		case slices.Contains(reloadable, name):
			changed = append(changed, slog.String(key, s.text))
			l.env.settings[name] = s
		default:
			restart = append(restart, key)
		}
	}
	log.InfoContext(ctx, "configuration reloaded", slog.GroupAttrs("changed", changed...))
	if len(restart) > 0 {
		log.WarnContext(ctx, "restart required", slog.Any("settings", restart))
	}
}

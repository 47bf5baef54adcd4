// Package logging writes log lines as JSON objects.
package logging

import (
	"context"
	"io"
	"log/slog"
)

const timestampFormat = "2006-01-02T15:04:05.000Z07:00"

// New returns a logger that writes one JSON object per line to w. To each line
// it adds what contextAttrs knows about the line's context.
func New(w io.Writer, level slog.Leveler, contextAttrs func(context.Context) []slog.Attr) *slog.Logger {
	return slog.New(handler{
		Handler:      slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: rename}),
		contextAttrs: contextAttrs,
	})
}

func rename(groups []string, attr slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return attr
	}
	switch attr.Key {
	case slog.TimeKey:
		if attr.Value.Kind() == slog.KindTime {
			return slog.String("timestamp", attr.Value.Time().UTC().Format(timestampFormat))
		}
	case slog.LevelKey:
		// slog would marshal it by reflection.
		if level, ok := attr.Value.Any().(slog.Level); ok {
			return slog.String(slog.LevelKey, level.String())
		}
	case slog.MessageKey:
		attr.Key = "message"
	}
	return attr
}

type handler struct {
	slog.Handler

	contextAttrs func(context.Context) []slog.Attr
}

func (h handler) Handle(ctx context.Context, record slog.Record) error {
	record.AddAttrs(h.contextAttrs(ctx)...)
	return h.Handler.Handle(ctx, record)
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.Handler = h.Handler.WithAttrs(attrs)
	return h
}

func (h handler) WithGroup(name string) slog.Handler {
	h.Handler = h.Handler.WithGroup(name)
	return h
}

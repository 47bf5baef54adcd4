// Package logging sets up log/slog: JSON for log systems, text for a person at a terminal.
package logging

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// New returns a logger to w in a format, "json" or "text". JSON lines carry attrs. The lines of a
// context carry its trace, and what With added to it.
func New(w io.Writer, format string, level slog.Leveler, attrs ...slog.Attr) *slog.Logger {
	if format == "text" {
		return slog.New(handler{slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})})
	}
	lines := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: rename})
	return slog.New(handler{lines.WithAttrs(attrs)})
}

// rename gives the built-in fields the names that log systems look for.
func rename(groups []string, attr slog.Attr) slog.Attr {
	switch {
	case len(groups) > 0:
	case attr.Key == slog.TimeKey && attr.Value.Kind() == slog.KindTime:
		return slog.String("timestamp", attr.Value.Time().UTC().Format("2006-01-02T15:04:05.000Z"))
	case attr.Key == slog.MessageKey:
		attr.Key = "message"
	}
	return attr
}

type attrsKey struct{}

// With returns a context whose lines carry attrs.
func With(ctx context.Context, attrs ...slog.Attr) context.Context {
	before, _ := ctx.Value(attrsKey{}).([]slog.Attr)
	return context.WithValue(ctx, attrsKey{}, append(slices.Clip(before), attrs...))
}

// handler adds to each line what its context knows.
type handler struct{ slog.Handler }

func (h handler) Handle(ctx context.Context, line slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		line.AddAttrs(slog.String("traceId", span.TraceID().String()), slog.String("spanId", span.SpanID().String()))
	}
	if attrs, ok := ctx.Value(attrsKey{}).([]slog.Attr); ok {
		line.AddAttrs(attrs...)
	}
	return h.Handler.Handle(ctx, line)
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs)}
}

func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }

const (
	gatherTime  = 10 * time.Millisecond
	maxGathered = 64 << 10 // bytes
)

// Output writes each line at once, except those of Gathered. Flush must be its last call.
type Output struct {
	out     io.Writer
	timer   *time.Timer
	mu      sync.Mutex
	waiting []byte
}

// NewOutput returns an output to out.
func NewOutput(out io.Writer) *Output {
	o := &Output{out: out}
	o.timer = time.AfterFunc(gatherTime, o.Flush)
	return o
}

// Write writes line after all that came before it.
func (o *Output) Write(line []byte) (int, error) { return o.write(line, 0) }

// Flush writes what still waits.
func (o *Output) Flush() { _, _ = o.write(nil, 0) } // there is nowhere to report an error

// Gathered returns a writer whose lines may wait for others, for up to 10 ms. It is for access lines:
// a system call for each one costs a busy service a fifth of its throughput.
func (o *Output) Gathered() io.Writer { return gathered{o} }

type gathered struct{ output *Output }

func (g gathered) Write(line []byte) (int, error) { return g.output.write(line, maxGathered) }

// write lets line wait until most bytes do, then writes all of them.
func (o *Output) write(line []byte, most int) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.waiting) == 0 && most > 0 {
		o.timer.Reset(gatherTime)
	}
	o.waiting = append(o.waiting, line...)
	if len(o.waiting) <= most {
		return len(line), nil
	}
	_, err := o.out.Write(o.waiting)
	o.waiting = o.waiting[:0]
	return len(line), err
}

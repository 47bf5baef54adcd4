// Package logging writes log lines as JSON objects.
package logging

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

func init() {
	zerolog.TimestampFieldName = "timestamp"
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00"
	zerolog.TimestampFunc = func() time.Time { return time.Now().UTC() }
	zerolog.LevelDebugValue, zerolog.LevelInfoValue = "DEBUG", "INFO"
	zerolog.LevelWarnValue, zerolog.LevelErrorValue = "WARN", "ERROR"
}

// New returns a logger that writes one JSON object per line to w. To each line
// it adds what ids knows about the line's context.
func New(w io.Writer, ids func(context.Context) []slog.Attr) zerolog.Logger {
	addIDs := func(line *zerolog.Event, _ zerolog.Level, _ string) {
		for _, id := range ids(line.GetCtx()) {
			line.Str(id.Key, id.Value.String())
		}
	}
	return zerolog.New(w).With().Timestamp().Logger().Hook(zerolog.HookFunc(addIDs))
}

// SetLevel drops the lines of all loggers that are below level.
func SetLevel(level slog.Level) {
	// slog leaves room between its four levels, zerolog does not.
	zerolog.SetGlobalLevel(zerolog.Level(level/4 + 1)) //nolint:gosec // no overflow
}

const (
	// gatherTime is how long a line may wait for others, to be written with them.
	gatherTime = 10 * time.Millisecond
	// maxGathered, in bytes, is written without a wait: no line is ever dropped.
	maxGathered = 64 << 10
)

// Writer gathers lines, because a system call for each one costs a busy service
// a fifth of its throughput. It must be flushed in the end.
type Writer struct {
	out   io.Writer
	timer *time.Timer
	mu    sync.Mutex
	lines []byte
}

// NewWriter returns a writer to out.
func NewWriter(out io.Writer) *Writer {
	w := &Writer{out: out}
	w.timer = time.AfterFunc(gatherTime, w.Flush)
	return w
}

func (w *Writer) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.lines) == 0 {
		w.timer.Reset(gatherTime)
	}
	if w.lines = append(w.lines, line...); len(w.lines) > maxGathered {
		w.flush()
	}
	return len(line), nil
}

// Flush writes what has been gathered.
func (w *Writer) Flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flush()
}

func (w *Writer) flush() {
	if len(w.lines) > 0 {
		_, _ = w.out.Write(w.lines) // there is nowhere to report an error
		w.lines = w.lines[:0]
	}
}

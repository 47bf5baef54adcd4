package logging

import (
	"io"
	"log/slog"

	"github.com/rs/zerolog"
)

// newZerolog encodes lines with zerolog, under the names that the service gives its fields. What
// all lines carry is encoded once, as slog's own handler does.
func newZerolog(w io.Writer, attrs []slog.Attr) slog.Handler {
	zerolog.TimestampFieldName, zerolog.TimeFieldFormat = "timestamp", "2006-01-02T15:04:05.000Z07:00"
	zerolog.LevelInfoValue = "INFO"
	lines := zerolog.New(w).With()
	for _, attr := range attrs {
		lines = lines.Str(attr.Key, attr.Value.String())
	}
	return zerolog.NewSlogHandler(lines.Logger())
}

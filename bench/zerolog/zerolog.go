package logging

import (
	"io"
	"log/slog"

	"github.com/rs/zerolog"
)

// newZerolog encodes lines with zerolog, under the names that the service gives its fields.
func newZerolog(w io.Writer) slog.Handler {
	zerolog.TimestampFieldName, zerolog.TimeFieldFormat = "timestamp", "2006-01-02T15:04:05.000Z07:00"
	zerolog.LevelInfoValue = "INFO"
	return zerolog.NewSlogHandler(zerolog.New(w))
}

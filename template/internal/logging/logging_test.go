package logging

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

type key struct{}

func traceID(ctx context.Context) []slog.Attr {
	id, _ := ctx.Value(key{}).(string)
	return []slog.Attr{slog.String("traceId", id)}
}

// newSlog returns the logger as slog, which is what most of a service sees of it.
func newSlog(w io.Writer) *slog.Logger {
	return slog.New(zerolog.NewSlogHandler(New(w, traceID)))
}

func TestLinesAreJSON(t *testing.T) {
	var output bytes.Buffer
	log := newSlog(&output).With(slog.String("service", "shop"))
	ctx := context.WithValue(t.Context(), key{}, "abc")
	log.InfoContext(ctx, "sold", slog.String("time", "noon"), slog.Group("buyer", slog.String("msg", "kept")))

	var line map[string]any
	if err := json.Unmarshal(output.Bytes(), &line); err != nil {
		t.Fatalf("%v in %s", err, &output)
	}
	timestamp, _ := line["timestamp"].(string)
	if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`).MatchString(timestamp) {
		t.Errorf("timestamp %q", timestamp)
	}
	delete(line, "timestamp")
	got, err := json.Marshal(line)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"buyer.msg":"kept","level":"INFO","message":"sold","service":"shop","time":"noon","traceId":"abc"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestEveryValueIsEncoded(t *testing.T) {
	var output bytes.Buffer
	log := newSlog(&output)
	for want, value := range map[string]any{
		`"plain"`:                    "plain",
		`"a\"b\\c\nd\u0000é"`:        "a\"b\\c\nd\x00é",
		`"broken"`:                   errors.New("broken"),
		`0.25`:                       0.25,
		`-7`:                         -7,
		`true`:                       true,
		`[1,2]`:                      []int{1, 2},
		`"2026-11-23T12:00:00.000Z"`: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
		`"NaN"`:                      math.NaN(),
		`"marshaling`:                func() {},
	} {
		output.Reset()
		log.InfoContext(t.Context(), "value", slog.Any("value", value))
		if !json.Valid(output.Bytes()) || !bytes.Contains(output.Bytes(), []byte(`"value":`+want)) {
			t.Errorf("no %s in %s", want, &output)
		}
	}
}

func TestGroupsGiveTheirNameToFields(t *testing.T) {
	var output bytes.Buffer
	newSlog(&output).WithGroup("cart").InfoContext(t.Context(), "sold", slog.Int("count", 3))
	if !bytes.Contains(output.Bytes(), []byte(`"cart.count":3`)) || !bytes.Contains(output.Bytes(), []byte(`"traceId":""`)) {
		t.Errorf("got %s", &output)
	}
}

func TestLevelsBelowAreDropped(t *testing.T) {
	defer SetLevel(slog.LevelInfo)
	for lowest, want := range map[slog.Level]int{slog.LevelDebug: 4, slog.LevelInfo: 3, slog.LevelWarn: 2, slog.LevelError: 1} {
		var output bytes.Buffer
		SetLevel(lowest)
		for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
			newSlog(&output).Log(t.Context(), level, "line")
			if got := bytes.Contains(output.Bytes(), []byte(`"level":"`+level.String()+`"`)); got != (level >= lowest) {
				t.Errorf("from %v on, a line at %v was written: %v", lowest, level, got)
			}
		}
		if got := bytes.Count(output.Bytes(), []byte("\n")); got != want {
			t.Errorf("from %v on: %d lines", lowest, got)
		}
	}
}

// slowWriter takes its time, and counts the writes.
type slowWriter struct {
	bytes.Buffer

	writes int
}

func (w *slowWriter) Write(p []byte) (int, error) {
	w.writes++
	time.Sleep(time.Millisecond)
	return w.Buffer.Write(p)
}

func TestWriterGathersLinesAndLosesNone(t *testing.T) {
	const writers, lines = 8, 5000
	line := strings.Repeat("x", 99) + "\n"
	var output slowWriter
	writer := NewWriter(&output)
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range lines {
				_, _ = io.WriteString(writer, line)
			}
		})
	}
	wg.Wait()
	writer.Flush()
	if output.String() != strings.Repeat(line, writers*lines) {
		t.Errorf("%d of %d bytes arrived", output.Len(), writers*lines*len(line))
	}
	if output.writes > writers*lines/10 {
		t.Errorf("%d lines took %d writes", writers*lines, output.writes)
	}
}

// flaky fails once.
type flaky struct {
	bytes.Buffer

	failed bool
}

func (f *flaky) Write(p []byte) (int, error) {
	if !f.failed {
		f.failed = true
		return 0, errors.New("no space left")
	}
	return f.Buffer.Write(p)
}

func TestWriterOutlivesAnError(t *testing.T) {
	var output flaky
	writer := NewWriter(&output)
	for _, line := range []string{"lost\n", "kept\n"} {
		_, _ = io.WriteString(writer, line)
		writer.Flush()
	}
	if output.String() != "kept\n" {
		t.Errorf("got %q", &output)
	}
}

func TestWriterDoesNotHoldALineBack(t *testing.T) {
	reader, pipe := io.Pipe()
	writer := NewWriter(pipe)
	go func() { _, _ = io.WriteString(writer, "line\n") }()
	if line, err := bufio.NewReader(reader).ReadString('\n'); err != nil || line != "line\n" {
		t.Errorf("got %q, %v", line, err)
	}
}

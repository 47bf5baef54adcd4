package logging

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
)

func TestLinesAreJSON(t *testing.T) {
	var output bytes.Buffer
	log := New(&output, "json", slog.LevelInfo, slog.String("service", "shop"))
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	ctx := With(trace.ContextWithSpanContext(t.Context(), span), slog.String("requestId", "r1"))
	ctx = With(ctx, slog.Int("order", 7))
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
	want := `{"buyer":{"msg":"kept"},"level":"INFO","message":"sold","order":7,"requestId":"r1","service":"shop",` +
		`"spanId":"0200000000000000","time":"noon","traceId":"01000000000000000000000000000000"}`
	if got, _ := json.Marshal(line); string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestALineOutsideOfRequestsHasNoTrace(t *testing.T) {
	var output bytes.Buffer
	New(&output, "json", slog.LevelInfo).InfoContext(t.Context(), "starting")
	if strings.Contains(output.String(), "traceId") {
		t.Errorf("got %s", &output)
	}
}

func TestLinesOfOneContextDoNotMix(t *testing.T) {
	base := With(t.Context(), slog.Int("a", 1), slog.Int("b", 2))
	first, second := With(base, slog.Int("c", 3)), With(base, slog.Int("d", 4))
	var output bytes.Buffer
	log := New(&output, "json", slog.LevelInfo)
	log.InfoContext(first, "first")
	log.InfoContext(second, "second")
	for _, want := range []string{`"message":"first","a":1,"b":2,"c":3}`, `"message":"second","a":1,"b":2,"d":4}`} {
		if !strings.Contains(output.String(), want) {
			t.Errorf("no %s in %s", want, &output)
		}
	}
}

func TestEveryValueIsEncoded(t *testing.T) {
	var output bytes.Buffer
	log := New(&output, "json", slog.LevelInfo)
	for want, value := range map[string]any{
		`"a\"b\\c\nd\u0000é"`: "a\"b\\c\nd\x00é",
		`"broken"`:            errors.New("broken"),
		`0.25`:                0.25,
		`[1,2]`:               []int{1, 2},
		`"!ERROR`:             math.NaN(),
	} {
		output.Reset()
		log.InfoContext(t.Context(), "value", slog.Any("value", value))
		if !json.Valid(output.Bytes()) || !bytes.Contains(output.Bytes(), []byte(`"value":`+want)) {
			t.Errorf("no %s in %s", want, &output)
		}
	}
}

func TestTextIsForAPerson(t *testing.T) {
	var output bytes.Buffer
	New(&output, "text", slog.LevelInfo, slog.String("service", "shop")).InfoContext(t.Context(), "sold", slog.Int("count", 3))
	if !regexp.MustCompile(`^time=\S+ level=INFO msg=sold count=3\n$`).Match(output.Bytes()) {
		t.Errorf("got %s", &output)
	}
}

func TestTheLevelMayChange(t *testing.T) {
	var output bytes.Buffer
	level := new(slog.LevelVar)
	log := New(&output, "json", level)
	log.DebugContext(t.Context(), "dropped")
	level.Set(slog.LevelDebug)
	log.DebugContext(t.Context(), "kept")
	if got := output.String(); strings.Contains(got, "dropped") || !strings.Contains(got, "kept") {
		t.Errorf("got %s", got)
	}
}

func TestALineIsThereWhenItsCallReturns(t *testing.T) {
	var output bytes.Buffer
	out := NewOutput(&output)
	_, _ = io.WriteString(out.Gathered(), "access 1\n")
	_, _ = io.WriteString(out, "line\n")
	if got := output.String(); got != "access 1\nline\n" {
		t.Errorf("got %q", got)
	}
}

func TestAccessLinesWaitForAMomentOnly(t *testing.T) {
	reader, pipe := io.Pipe()
	out := NewOutput(pipe)
	go func() { _, _ = io.WriteString(out.Gathered(), "line\n") }()
	if line, err := bufio.NewReader(reader).ReadString('\n'); err != nil || line != "line\n" {
		t.Errorf("got %q, %v", line, err)
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

func TestGatheredLinesAreInOrderAndComplete(t *testing.T) {
	const writers, lines = 8, 5000
	var output slowWriter
	out := NewOutput(&output)
	var wg sync.WaitGroup
	for writer := range writers {
		wg.Go(func() {
			for line := range lines {
				_, _ = fmt.Fprintf(out.Gathered(), "%d %d\n", writer, line)
			}
		})
	}
	wg.Wait()
	out.Flush()
	next := [writers]int{}
	for line := range strings.Lines(output.String()) {
		var writer, number int
		if _, err := fmt.Sscanf(line, "%d %d\n", &writer, &number); err != nil || number != next[writer] {
			t.Fatalf("%q, want number %d: %v", line, next[writer], err)
		}
		next[writer]++
	}
	if next != [writers]int{lines, lines, lines, lines, lines, lines, lines, lines} {
		t.Errorf("%v lines arrived", next)
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

func TestOutputOutlivesAnError(t *testing.T) {
	var output flaky
	out := NewOutput(&output)
	if _, err := io.WriteString(out, "lost\n"); err == nil {
		t.Error("no error")
	}
	_, _ = io.WriteString(out, "kept\n")
	if output.String() != "kept\n" {
		t.Errorf("got %q", &output)
	}
}

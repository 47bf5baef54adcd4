package logging

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"regexp"
	"testing"
)

type key struct{}

func traceID(ctx context.Context) []slog.Attr {
	id, _ := ctx.Value(key{}).(string)
	return []slog.Attr{slog.String("traceId", id)}
}

func TestLinesAreJSON(t *testing.T) {
	var output bytes.Buffer
	log := New(&output, slog.LevelInfo, traceID).With(slog.String("service", "shop"))
	ctx := context.WithValue(t.Context(), key{}, "abc")
	log.DebugContext(ctx, "hidden")
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
	want := `{"buyer":{"msg":"kept"},"level":"INFO","message":"sold","service":"shop","time":"noon","traceId":"abc"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestGroupsNest(t *testing.T) {
	var output bytes.Buffer
	New(&output, slog.LevelInfo, traceID).WithGroup("cart").InfoContext(t.Context(), "sold", slog.Int("count", 3))
	if want := `"cart":{"count":3,"traceId":""}`; !bytes.Contains(output.Bytes(), []byte(want)) {
		t.Errorf("no %s in %s", want, &output)
	}
}

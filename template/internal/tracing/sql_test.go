package tracing

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// database answers every query with itself.
type database struct{ error }

func (d database) Connect(context.Context) (driver.Conn, error) { return d, nil }
func (d database) Driver() driver.Driver                        { return nil }
func (d database) Prepare(string) (driver.Stmt, error)          { return nil, d }
func (d database) Begin() (driver.Tx, error)                    { return nil, d }
func (d database) Close() error                                 { return nil }
func (d database) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	return nil, d.error
}

func TestQueriesHaveSpans(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	before := otel.GetTracerProvider()
	otel.SetTracerProvider(provider)
	defer otel.SetTracerProvider(before)
	answer := &mysql.MySQLError{Number: 1062, Message: "Duplicate entry 'hunter2' for key 'PRIMARY'"}
	db := OpenDB(database{answer})
	defer func() { _ = db.Close() }()

	if _, err := db.ExecContext(t.Context(), "DELETE FROM greetings"); !errors.Is(err, answer) {
		t.Errorf("got %v", err)
	}
	if found := spans.GetSpans(); len(found) > 0 {
		t.Errorf("without a request: %v", found)
	}

	ctx, span := provider.Tracer("test").Start(t.Context(), "request")
	_, _ = db.ExecContext(ctx, "INSERT INTO greetings VALUES (?)", "hunter2")
	span.End()
	var query *tracetest.SpanStub
	for _, found := range spans.GetSpans() {
		if found.Name == "INSERT" {
			query = &found
		}
	}
	if query == nil || query.Parent.SpanID() != span.SpanContext().SpanID() {
		t.Fatalf("no span of the query in %v", spans.GetSpans())
	}
	text := ""
	for _, attribute := range query.Attributes {
		text += string(attribute.Key) + "=" + attribute.Value.AsString() + "\n"
	}
	for _, event := range query.Events {
		for _, attribute := range event.Attributes {
			text += string(attribute.Key) + "=" + attribute.Value.AsString() + "\n"
		}
	}
	if !strings.Contains(text, "VALUES (?)") || !strings.Contains(text, "db.system.name=mysql") || strings.Contains(text, "hunter2") {
		t.Errorf("the span has\n%s", text)
	}
}

package tracing

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"

	"github.com/XSAM/otelsql"
	"github.com/go-sql-driver/mysql"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"
)

// OpenDB is sql.OpenDB, with a span for each query of a request. It has the text of the query, without
// its arguments.
func OpenDB(connector driver.Connector) *sql.DB {
	return otelsql.OpenDB(connector,
		otelsql.WithAttributes(semconv.DBSystemNameMySQL),
		otelsql.WithSpanNameFormatter(func(_ context.Context, method otelsql.Method, query string) string {
			if words := strings.Fields(query); len(words) > 0 {
				return words[0] // SELECT
			}
			return string(method)
		}),
		otelsql.WithSpanOptions(otelsql.SpanOptions{
			DisableErrSkip: true, OmitConnResetSession: true, OmitRows: true,
			// An answer of the server may quote an argument.
			RecordError: func(err error) bool { return !errors.As(err, new(*mysql.MySQLError)) },
			// What no request asks for, such as a health check, is not worth a trace.
			SpanFilter: func(ctx context.Context, _ otelsql.Method, _ string, _ []driver.NamedValue) bool {
				return trace.SpanContextFromContext(ctx).IsValid()
			},
		}))
}

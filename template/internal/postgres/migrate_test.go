package postgres

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/stdlib"
)

func TestEveryFileIsAMigration(t *testing.T) {
	provider, err := newProvider(stdlib.OpenDB(*parse(t, "postgres://db/app").ConnConfig), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	files, err := migrations.ReadDir("migrations")
	if err != nil {
		t.Fatal(err)
	}
	if sources := provider.ListSources(); len(sources) != len(files) {
		t.Errorf("%d of %d files are migrations: name each NUMBER_name.sql", len(sources), len(files))
	}
}

func TestMigrateWaitsForTheServer(t *testing.T) {
	var output bytes.Buffer
	log := slog.New(slog.NewTextHandler(&output, nil))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := Migrate(ctx, parse(t, "postgres://127.0.0.1:1/app"), log)
	if err == nil || !strings.HasPrefix(err.Error(), "database cannot be reached: ") {
		t.Errorf("got %v", err)
	}
	if attempts := strings.Count(output.String(), "cannot be reached"); attempts < 2 {
		t.Errorf("tried %d times:\n%s", attempts, &output)
	}
}

func TestMigrateGivesUpWhenRefused(t *testing.T) {
	config, serve := fakeServer(t)
	go serve(func(backend *pgproto3.Backend) {
		backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "28P01", Message: "wrong password"})
		_ = backend.Flush()
	})
	err := Migrate(t.Context(), config, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "wrong password") {
		t.Errorf("got %v", err)
	}
}

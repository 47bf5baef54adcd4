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

func TestMigrationsAreInOrder(t *testing.T) {
	provider, err := newProvider(stdlib.OpenDB(*parse(t, "postgres://db/app").ConnConfig))
	if err != nil {
		t.Fatal(err)
	}
	for i, source := range provider.ListSources() {
		if source.Version != int64(i+1) {
			t.Errorf("%s is number %d", source.Path, i+1)
		}
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

func TestThreeMigrateAtOnce(t *testing.T) {
	config := database(t)
	var output bytes.Buffer
	log := slog.New(slog.NewTextHandler(&output, nil))
	failed := make(chan error)
	for range 3 {
		go func() { failed <- Migrate(t.Context(), config, log) }()
	}
	for range 3 {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	if applied := strings.Count(output.String(), "migration=00001_"); applied != 1 {
		t.Errorf("the first migration was applied %d times:\n%s", applied, &output)
	}
}

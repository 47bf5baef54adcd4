package mysql

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestEveryFileIsAMigration(t *testing.T) {
	db, err := Open(parse(t, "mysql://db/app"), silent)
	if err != nil {
		t.Fatal(err)
	}
	provider, err := newProvider(db.DB, silent)
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
	err := Migrate(ctx, parse(t, "mysql://127.0.0.1:1/app"), log)
	if err == nil || !strings.HasPrefix(err.Error(), "database cannot be reached: ") {
		t.Errorf("got %v", err)
	}
	if attempts := strings.Count(output.String(), "cannot be reached"); attempts < 2 {
		t.Errorf("tried %d times:\n%s", attempts, &output)
	}
}

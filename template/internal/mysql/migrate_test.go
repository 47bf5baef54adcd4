package mysql

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestMigrationsAreInOrder(t *testing.T) {
	db, err := Open(parse(t, "mysql://db/app"), silent)
	if err != nil {
		t.Fatal(err)
	}
	provider, err := newProvider(db.DB, silent)
	if err != nil {
		t.Fatal(err)
	}
	var before int64
	for _, source := range provider.ListSources() {
		if source.Version <= before {
			t.Errorf("%s comes after number %d", source.Path, before)
		}
		before = source.Version
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

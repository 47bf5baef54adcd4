package mysql

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

const (
	// migrateTimeout bounds all of a migration, the wait for another one included:
	// a deployment that takes longer counts as failed.
	migrateTimeout = 5 * time.Minute
	reachTimeout   = time.Minute
	unlockAttempts = 5
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate applies what is missing of the migrations, in order. Of several at once, one works while
// the others wait. MySQL commits each statement that changes the schema: what a failed migration
// has done before stays, and so does the statement that it was at, which the server goes on with.
func Migrate(ctx context.Context, config *Config, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	session := &Config{config.Clone(), 2, sql.OpenDB} // one for the statements, one for the lock
	// By default, a statement waits for a table for a year, and whoever needs the table waits behind it.
	session.Params["lock_wait_timeout"] = strconv.Itoa(int(migrateTimeout.Seconds()))
	db, err := Open(session, log)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	provider, err := newProvider(db.DB, log)
	if err != nil {
		return err
	}
	if err := reach(ctx, db.DB, log); err != nil {
		return err
	}
	applied, err := provider.Up(ctx)
	if partial, ok := errors.AsType[*goose.PartialError](err); ok {
		applied = partial.Applied
	}
	for _, result := range applied {
		log.InfoContext(ctx, "migrated", slog.String("migration", path.Base(result.Source.Path)),
			slog.Int64("durationMs", result.Duration.Milliseconds()))
	}
	if err != nil {
		return err
	}
	log.InfoContext(ctx, "schema is up to date")
	return nil
}

func newProvider(db *sql.DB, log *slog.Logger) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	// Tried every second, for as long as ctx allows. Whoever is killed holds it for another 30 seconds.
	locker, err := lock.NewMySQLTableLocker(lock.WithTableLogger(log),
		lock.WithTableLockTimeout(time.Second, uint64(migrateTimeout.Seconds())),
		lock.WithTableUnlockTimeout(time.Second, unlockAttempts))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectMySQL, db, files, goose.WithLocker(locker),
		goose.WithAllowOutofOrder(true)) // a branch that is merged late
}

// reach waits until the server takes connections.
func reach(ctx context.Context, db *sql.DB, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	for delay := 250 * time.Millisecond; ; delay = min(2*delay, 5*time.Second) {
		err := db.PingContext(ctx)
		if err == nil || refused(err) {
			return err
		}
		log.WarnContext(ctx, "database cannot be reached",
			slog.Any("error", err), slog.String("retryIn", delay.String()))
		select {
		case <-ctx.Done():
			return fmt.Errorf("database cannot be reached: %w", err)
		case <-time.After(delay):
		}
	}
}

// refused tells an answer that another attempt does not change, such as a wrong password, from a
// server that is not there yet, has no connection left (1040) or is about to stop (1053).
func refused(err error) bool {
	answer, ok := errors.AsType[*mysql.MySQLError](err)
	return ok && !slices.Contains([]uint16{1040, 1053}, answer.Number)
}

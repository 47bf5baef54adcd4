package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

const (
	// migrateTimeout bounds all of a migration, the wait for another one included:
	// a deployment that takes longer counts as failed.
	migrateTimeout = 5 * time.Minute
	reachTimeout   = time.Minute
	cancelTimeout  = 5 * time.Second
	unlockAttempts = 5
	migrateConns   = 2 // one of them renews the lock
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate applies what is missing of the migrations, in order and each in a transaction.
// Of several at once, one works while the others wait.
func Migrate(ctx context.Context, config *pgxpool.Config, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	connConfig := config.ConnConfig.Copy()
	// With ctx, the statement at work ends on the server too, while this process still runs.
	connConfig.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: cancelTimeout}
	}
	db := stdlib.OpenDB(*connConfig)
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(migrateConns)
	provider, err := newProvider(db, log)
	if err != nil {
		return err
	}
	if err := reach(ctx, db, log); err != nil {
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
	// A table and no lock of the session: a pooler may give each transaction another session. Tried
	// every second, for as long as ctx allows. Whoever is killed holds it for another 30 seconds.
	locker, err := lock.NewPostgresTableLocker(lock.WithTableLogger(log),
		lock.WithTableLockTimeout(time.Second, uint64(migrateTimeout.Seconds())),
		lock.WithTableUnlockTimeout(time.Second, unlockAttempts))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, files, goose.WithLocker(locker),
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
		// Errors of pgx have several lines.
		cause := strings.Join(strings.Fields(err.Error()), " ")
		log.WarnContext(ctx, "database cannot be reached",
			slog.String("error", cause), slog.String("retryIn", delay.String()))
		select {
		case <-ctx.Done():
			return fmt.Errorf("database cannot be reached: %w", err)
		case <-time.After(delay):
		}
	}
}

// refused tells an answer that another attempt does not change, such as a wrong
// password (class 28) or an unknown database (3D), from a server that is not there yet.
func refused(err error) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) &&
		(strings.HasPrefix(answer.Code, "28") || strings.HasPrefix(answer.Code, "3D"))
}

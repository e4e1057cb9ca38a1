package sqlstore

// The steps of the schema.

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migration is one numbered step of the schema.
type Migration struct {
	Version    int
	Name       string
	Minimum    int      // the newest step that a program must know to run on the schema
	Statements []string // each may be repeated; the last records the version
}

// ErrNewerSchema is wrapped by Migrate's error on a database that a newer
// version of this package has migrated to a schema on which this one cannot run.
var ErrNewerSchema = errors.New("sqlstore: the database has a newer schema than this version knows")

// Migrations returns every step of the schema, oldest first, for teams that
// run their own migration tool. Once all have been run, [Store.Migrate] has
// nothing to do. opts names the tables as in [New]; it may be nil.
//
// If a statement that adds a column or, in MySQL, an index fails because that
// already exists, it has been run before.
func Migrations(dialect Dialect, opts *Options) []Migration {
	if opts == nil {
		opts = &Options{}
	}
	names := newNames(dialect, opts)
	files, err := migrationFiles.ReadDir("migrations")
	if err != nil {
		panic(err) // the files are part of the program
	}
	var migrations []Migration
	for _, file := range files {
		parts := strings.Split(file.Name(), ".") // dialect.version.name.sql
		version, err := strconv.Atoi(parts[1])
		if err != nil || parts[0] != dialect.traits().name {
			continue
		}
		text, err := migrationFiles.ReadFile("migrations/" + file.Name())
		if err != nil {
			panic(err)
		}
		migrations = append(migrations, newMigration(names, version, parts[2], string(text)))
	}
	slices.SortFunc(migrations, func(a, b Migration) int { return a.Version - b.Version })
	return migrations
}

// minimums has, by step, the newest step that a program must know to run on the schema
// after it. If a step only adds what older programs need not write, they continue to
// run: while the hosts of a deployment are replaced one by one, and after a rollback.
// What they use is removed in a later step, with a minimum of its own.
var minimums = map[int]int{4: 3}

// minimumSince is the first step that records its minimum.
const minimumSince = 4

const createVersions = "CREATE TABLE IF NOT EXISTS {schema_versions} (version integer PRIMARY KEY, migrated_at bigint NOT NULL)"

func newMigration(names names, version int, name, text string) Migration {
	migration := Migration{Version: version, Name: name, Minimum: cmp.Or(minimums[version], version)}
	if version == 1 {
		migration.Statements = append(migration.Statements, names.fill(createVersions))
	}
	for statement := range strings.SplitSeq(text, ";\n") {
		if statement = strings.TrimSpace(statement); statement != "" {
			migration.Statements = append(migration.Statements, names.fill(statement))
		}
	}
	columns, values := "version, migrated_at", fmt.Sprintf("%d, %d", version, time.Now().UnixMicro())
	if version >= minimumSince {
		columns, values = columns+", minimum_version", values+fmt.Sprintf(", %d", migration.Minimum)
	}
	migration.Statements = append(migration.Statements, names.fill(fmt.Sprintf(
		"INSERT INTO {schema_versions} (%s) SELECT %s FROM (SELECT 1 AS one) AS row_of_one"+
			" WHERE NOT EXISTS (SELECT 1 FROM {schema_versions} WHERE version = %d)", columns, values, version)))
	return migration
}

// Migrate creates the tables, or brings them to the schema of this version, for
// all tenants. Call it at every start: it changes nothing that is up to date, and
// several processes may call it at once.
//
// It returns ErrNewerSchema if a newer version of this package has changed the
// tables so that this version cannot use them. It returns another error if the
// database does not store all text in UTF-8, or if it has other tables of these
// names. It logs a warning to Options.Logger if the database is a Galera node
// whose reads do not wait for the other nodes.
func (s *Store) Migrate(ctx context.Context) error {
	tries := s.tries()
	for {
		err := s.migrate(ctx)
		var refused refusal
		if err == nil || errors.Is(err, ErrNewerSchema) || errors.As(err, &refused) {
			return err
		}
		// Every statement may be repeated, so it does not matter how far a try got.
		// Without locks, two processes that create the same table at once collide, and
		// one of them tries again.
		if s.judge(ctx, err) == Failed || !tries.again(ctx) {
			return fmt.Errorf("sqlstore: migrate: %w", s.explainSchema(err))
		}
	}
}

func (s *Store) migrate(ctx context.Context) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	s.warnOfGalera(ctx, conn)
	if err := s.checkEncoding(ctx, conn); err != nil {
		return err
	}
	// If the database is up to date, no lock is taken, and the right to change the
	// schema is not needed. An error means that there are no tables yet.
	if current, err := s.version(ctx, conn); err == nil && current >= newest(s.migrations()) {
		if err := s.refuseNewer(ctx, conn, current); err != nil {
			return err
		}
		return cmp.Or(s.checkShape(ctx, conn), s.noteFile(ctx, conn))
	}
	unlock, pause, err := s.lock(ctx, conn)
	if err != nil {
		return err
	}
	if err := unlock(s.migrateOn(ctx, conn, pause)); err != nil {
		if s.class(err) != Failed {
			return err
		}
		return cmp.Or(s.checkFoundShape(ctx), err)
	}
	return s.checkShape(ctx, conn)
}

func (s *Store) migrations() []Migration { return Migrations(s.dialect, &s.opts) }

func newest(migrations []Migration) int { return migrations[len(migrations)-1].Version }

func (s *Store) version(ctx context.Context, conn *sql.Conn) (int, error) {
	var current sql.NullInt64
	err := conn.QueryRowContext(ctx, s.names.fill("SELECT MAX(version) FROM {schema_versions}")).Scan(&current)
	return int(current.Int64), err
}

// refuseNewer refuses a schema whose minimum is newer than what this version knows. If
// a schema records no minimum, programs must know the schema itself.
func (s *Store) refuseNewer(ctx context.Context, conn *sql.Conn, current int) error {
	known := newest(s.migrations())
	if current <= known {
		return nil
	}
	var minimum sql.NullInt64
	text := s.names.fill("SELECT minimum_version FROM {schema_versions} ORDER BY version DESC LIMIT 1")
	if err := conn.QueryRowContext(ctx, text).Scan(&minimum); err != nil {
		return err
	}
	if !minimum.Valid {
		minimum.Int64 = int64(current)
	}
	if minimum.Int64 > int64(known) {
		return fmt.Errorf("%w: version %d, which needs a program that knows version %d, and this one knows version %d; update the program", ErrNewerSchema, current, minimum.Int64, known)
	}
	return nil
}

// migrateOn runs the steps that the database does not have yet.
func (s *Store) migrateOn(ctx context.Context, conn *sql.Conn, pause func() error) error {
	if _, err := conn.ExecContext(ctx, s.names.fill(createVersions)); err != nil {
		return err
	}
	current, err := s.versionToMigrate(ctx, conn)
	if err != nil {
		return err
	}
	forEngine, err := s.forEngine(ctx, conn)
	if err != nil {
		return err
	}
	isUsed := current > 0
	for _, migration := range s.migrations() {
		for _, statement := range migration.Statements {
			// A transaction that changed a table keeps all others from reading it. So what
			// may take long, building an index, begins another one.
			if pause != nil && isUsed && migration.Version > current && strings.HasPrefix(statement, "CREATE INDEX") {
				if err := pause(); err != nil {
					return err
				}
				if current, err = s.versionToMigrate(ctx, conn); err != nil {
					return err
				}
			}
			if migration.Version <= current {
				break
			}
			if _, err := conn.ExecContext(ctx, forEngine(statement)); err != nil && !s.isThere(err) {
				return fmt.Errorf("step %d (%s): %w", migration.Version, migration.Name, err)
			}
		}
	}
	return nil
}

// versionToMigrate returns the newest step that the database has, and refuses a schema on
// which this version cannot run.
func (s *Store) versionToMigrate(ctx context.Context, conn *sql.Conn) (int, error) {
	current, err := s.version(ctx, conn)
	if err == nil {
		err = s.refuseNewer(ctx, conn, current)
	}
	return current, err
}

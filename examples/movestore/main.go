// Movestore moves the clients of all tenants, with their initial access tokens
// and used values, from one sqlstore to another, which may have another dialect:
//
//	go run ./examples/movestore -from sqlite:clients.db -to postgres://user@host/db
//
// Client ids, secrets, tokens, revisions and uses stay the same. The source is only
// read; first stop the hosts that write to it. At the end, each row is compared with
// the source's. To continue an interrupted move, use -resume.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"regexp"
	"time"
)

const usage = `movestore moves registered clients from one database to another.

  movestore -from DATABASE -to DATABASE [-resume] [-prefix PREFIX] [-tenant NAME]...

A DATABASE is one of

  sqlite:FILE
  postgres://USER:PASSWORD@HOST:PORT/DATABASE
  mysql://USER:PASSWORD@HOST:PORT/DATABASE        (MariaDB too)

The source must have the schema of this program's version and is only read. The
target gets its tables where it has none. What was done goes to stdout, progress
and what differs to stderr. The exit status is 0 when the target has what the
source has, and nothing else.

`

// settings holds the values of the flags.
type settings struct {
	from, to string
	prefix   string
	resume   bool
	tenants  map[string]string // the names of tenants by the hash that the column has instead
}

// addTenant records the name of a tenant under the hash that the database has for
// it; see docs/stored-form.md.
func (s *settings) addTenant(name string) error {
	sum := sha256.Sum256([]byte(name))
	s.tenants[hashed+base64.RawURLEncoding.EncodeToString(sum[:])] = name
	return nil
}

const hashed = "sha256:"

var prefixPattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,31}$`)

// run moves everything and reports on out.
func run(ctx context.Context, s settings, out io.Writer) error {
	if !prefixPattern.MatchString(s.prefix) {
		return fmt.Errorf("-prefix %q: want at most 32 letters, digits and underscores", s.prefix)
	}
	from, err := openSource(ctx, s.from, s.prefix)
	if err != nil {
		return fmt.Errorf("-from: %w", err)
	}
	defer from.Close()
	to, err := openTarget(ctx, s.to, s.prefix)
	if err != nil {
		return fmt.Errorf("-to: %w", err)
	}
	defer to.Close()
	m := mover{from: from, to: to, tenants: s.tenants}
	tables := tablesAt(time.Now())
	for _, t := range tables {
		if used, err := to.used(ctx, t); err != nil {
			return fmt.Errorf("-to: %w", err)
		} else if used && !s.resume {
			return fmt.Errorf("-to: %s%s already has rows; to continue an interrupted move, use -resume", s.prefix, t.name)
		}
	}
	var differ int64
	for _, t := range tables {
		log.Printf("%s: copying", t.name)
		copied, err := m.copy(ctx, t)
		if err != nil {
			return fmt.Errorf("%s, after %d rows: %w", t.name, copied, err)
		}
		log.Printf("%s: comparing", t.name)
		compared, different, err := m.compare(ctx, t)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		fmt.Fprintf(out, "%s: %d copied, %d compared, %d differ\n", t.name, copied, compared, different)
		differ += different
	}
	if differ > 0 {
		return fmt.Errorf("%d rows differ from the source's", differ)
	}
	return nil
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("movestore: ")
	s := settings{tenants: map[string]string{}}
	flag.StringVar(&s.from, "from", "", "the `database` to read")
	flag.StringVar(&s.to, "to", "", "the `database` to write")
	flag.StringVar(&s.prefix, "prefix", "dcr_", "the `prefix` of the table names in both databases")
	flag.BoolVar(&s.resume, "resume", false, "continue an interrupted move: rows that the target has stay as they are")
	flag.Func("tenant", "the `name` of a tenant, needed if it is so long that the database has only its hash; may be repeated", s.addTenant)
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	flag.Parse()
	if s.from == "" || s.to == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, s, os.Stdout)
	switch {
	case err != nil && ctx.Err() != nil:
		log.Fatal("interrupted; to continue, use -resume")
	case err != nil:
		log.Fatal(err)
	}
}

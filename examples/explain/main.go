// Explain says what a server would do with a registration request, and why, without
// registering anything:
//
//	go run ./examples/explain -preset mcp request.json
//
// It reads standard input if no file is named. The exit status is 1 if the request
// would be refused, and 2 if it could not be explained.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/examples/internal/presets"
	"github.com/dynreg/dcr/memstore"
)

func main() {
	refused, err := run(os.Args[1:], os.Stdin, os.Stdout)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "explain:", err)
		os.Exit(2)
	case refused:
		os.Exit(1)
	}
}

// run explains the request that the arguments name, and reports whether it would be
// refused.
func run(args []string, in io.Reader, out io.Writer) (refused bool, err error) {
	flags := flag.NewFlagSet("explain", flag.ContinueOnError)
	var preset presets.Preset
	var supports *dcr.Capabilities
	flags.Func("preset", "use a ready-made `policy`: "+presets.Open().Names(), func(name string) (err error) {
		preset, err = presets.Open().Find(name)
		return err
	})
	flags.Func("capabilities", "read what the server supports from a discovery document in `FILE`", func(file string) error {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		return json.Unmarshal(text, &supports)
	})
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return false, nil
	case err != nil:
		return false, err
	}
	body, err := read(in, flags.Args())
	if err != nil {
		return false, err
	}
	handler, err := dcr.NewHandler(memstore.New(), &dcr.Options{
		Endpoint: "https://id.example.com/connect/dcr", Validator: preset.Around(dcr.DefaultValidator{}, supports), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return false, err
	}
	decision, err := handler.Explain(context.Background(), "", body)
	if err != nil {
		return false, err
	}
	return decision.Err != nil, print(out, decision)
}

// maxBody limits what is read; a server accepts less.
const maxBody = 1 << 20

func read(in io.Reader, files []string) ([]byte, error) {
	switch len(files) {
	case 0:
		return io.ReadAll(io.LimitReader(in, maxBody))
	case 1:
		return os.ReadFile(files[0])
	}
	return nil, errors.New("name one file, or no file to read standard input")
}

// print writes a decision as a table, then what was assumed, then the answer that the
// server would give.
func print(out io.Writer, decision *dcr.Decision) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "MEMBER\tVERDICT\tBY\tSENT\tEFFECTIVE\tWHAT WOULD CHANGE IT")
	for _, m := range decision.Members {
		by := m.Step
		if m.Rule != "" {
			by += " (" + m.Rule + ")"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", shown([]byte(m.Name)), m.Verdict, by, shown(m.Sent), shown(m.Effective), shown([]byte(m.Switch)))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, sentence := range decision.Assumed {
		fmt.Fprintln(out, "assumed:", sentence)
	}
	if decision.Err != nil {
		_, err := fmt.Fprintf(out, "\n%d: it would be refused with %v\n", decision.Status, decision.Err)
		return err
	}
	_, err := fmt.Fprintf(out, "\n%d: it would be registered\n", decision.Status)
	return err
}

// shown returns a value that is safe on a terminal: in printable ASCII, "-" for none,
// and no longer than a line.
func shown(value []byte) string {
	const longest = 60
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, string(value))
	switch {
	case text == "":
		return "-"
	case len(text) > longest:
		return text[:longest-1] + "~"
	}
	return text
}

// Package watch is for tests: it finds secrets in what a test suite writes. With
// DCR_TEST_SECRETS set, every watched handler gets an additional event sink and a
// logger at level debug. At the end, everything that these wrote, and every client as
// its store has it, is searched for every secret that was issued or sent.
package watch

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"index/suffixarray"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/dynreg/dcr"
)

// Main runs the tests of a package, as TestMain does. It fails if a secret was
// written, or if it looked for fewer than least secrets, since then nothing was
// watched.
func Main(m *testing.M, least int) {
	if os.Getenv("DCR_TEST_SECRETS") == "" {
		os.Exit(m.Run())
	}
	watched = &vigil{secrets: map[string]string{}}
	slog.SetDefault(slog.New(watched.handler()))
	status := m.Run()
	if !watched.report(os.Stdout, least) {
		status = 1
	}
	os.Exit(status)
}

// Keep adds a secret to look for.
func Keep(secret, what string) { watched.keep(secret, what) }

// Over watches a handler that is about to be made from opts.
func Over(t testing.TB, store dcr.ClientConfigurationStore, opts *dcr.Options) {
	watched.over(t, store, opts)
}

// watched has what was collected so far; it is nil unless DCR_TEST_SECRETS is
// set.
var watched *vigil

// vigil has every secret, with what it is, and everything that was written.
type vigil struct {
	mu      sync.Mutex
	secrets map[string]string
	written bytes.Buffer
}

// shortest is the least length of a secret to look for. Issued secrets are longer,
// and shorter ones that a test made up could be ordinary words.
const shortest = 16

func (w *vigil) keep(secret, what string) {
	if w == nil || len(secret) < shortest {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secrets[secret] = what
}

// Write keeps what is written.
func (w *vigil) Write(text []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.written.Write(text)
}

func (w *vigil) handler() slog.Handler {
	return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug - 100})
}

func (w *vigil) over(t testing.TB, store dcr.ClientConfigurationStore, opts *dcr.Options) {
	if w == nil {
		return
	}
	own := slog.Default().Handler()
	if opts.Logger != nil {
		own = opts.Logger.Handler()
	}
	opts.Logger = slog.New(slog.NewMultiHandler(own, w.handler()))
	tell := opts.Events
	if tell == nil {
		tell = dcr.LogEvents(opts.Logger)
	}
	opts.Events = func(ctx context.Context, event dcr.Event) {
		fmt.Fprintf(w, "%+v %s\n", event, encode(event))
		tell(ctx, event)
	}
	modify := opts.ModifyResponse
	opts.ModifyResponse = func(ctx context.Context, reg *dcr.Registration, res *dcr.Response) error {
		w.keep(res.ClientSecret.Reveal(), "a client secret")
		w.keep(res.RegistrationAccessToken.Reveal(), "a registration access token")
		if modify == nil {
			return nil
		}
		return modify(ctx, reg, res)
	}
	if lister, ok := dcr.StoreAs[dcr.ClientLister](store); ok {
		t.Cleanup(func() {
			for client, err := range lister.ListClients(context.Background(), dcr.Filter{}, "") {
				if err != nil {
					return // a store that the test broke
				}
				fmt.Fprintf(w, "%s %+v\n", encode(client), client)
			}
		})
	}
}

// report prints what was found, and reports whether nothing was found.
func (w *vigil) report(to *os.File, least int) (clean bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fmt.Fprintf(to, "%d secrets were looked for in %d KB\n", len(w.secrets), w.written.Len()>>10)
	text := w.written.Bytes()
	index := suffixarray.New(text)
	clean = len(w.secrets) >= least && len(text) > 0 // otherwise nothing was watched
	for secret, what := range w.secrets {
		if at := index.Lookup([]byte(secret), 1); at != nil {
			clean = false
			around := text[max(0, at[0]-200):min(len(text), at[0]+len(secret)+200)]
			fmt.Fprintf(to, "%s was written: %s\n", what, strings.ReplaceAll(string(around), secret, "<<"+secret+">>"))
		}
	}
	return clean
}

func encode(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}

package spec_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/extension"
	"github.com/dynreg/dcr/policy"
)

var update = flag.Bool("update", false, "write the answers in testdata/golden again")

// The golden files are conversations, with one line for each turn:
//
//	# what this shows
//	= words {discovery document}    a new server; the words name switches
//	> POST {body}                   a registration; GET, PUT and DELETE are of
//	                                the client that was registered last
//	< 201 {answer}                  written by go test -update
//
// Client ids, secrets and the clock are fixed; registration access tokens are
// shown as TOKEN.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/golden/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			held := converse(t, string(text))
			if *update {
				if err := os.WriteFile(file, []byte(held), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			said, heard := strings.Split(string(text), "\n"), strings.Split(held, "\n")
			for i := range max(len(said), len(heard)) {
				if i >= len(said) || i >= len(heard) || said[i] != heard[i] {
					t.Fatalf("line %d is\n%s\nwant\n%s", i+1, strings.Join(heard[min(i, len(heard)):min(i+1, len(heard))], ""), strings.Join(said[min(i, len(said)):min(i+1, len(said))], ""))
				}
			}
		})
	}
}

// converse runs a conversation and returns it with the answers.
func converse(t *testing.T, text string) string {
	var r *rig
	var registered *answer
	var held strings.Builder
	for _, line := range strings.SplitAfter(text, "\n") {
		kind, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if kind == "<" {
			continue
		}
		held.WriteString(line)
		switch kind {
		case "=":
			words, document, _ := strings.Cut(rest, "{")
			r = start(t, "{"+document, append(switches(t, strings.Fields(words)), fixed)...)
		case ">":
			method, body, _ := strings.Cut(rest, " ")
			a := r.turn(t, registered, method, body)
			if method == http.MethodPost {
				registered = a
			}
			said := strings.ReplaceAll(a.body, registered.text("registration_access_token"), "TOKEN")
			if registered.text("registration_access_token") == "" {
				said = a.body
			}
			held.WriteString(strings.TrimSpace(fmt.Sprintf("< %d %s", a.status, said)) + "\n")
		}
	}
	return held.String()
}

func (r *rig) turn(t *testing.T, registered *answer, method, body string) *answer {
	t.Helper()
	if method == http.MethodPost {
		return r.post(t, body)
	}
	return r.do(t, method, r.server.URL+"/connect/dcr?client_id="+registered.text("client_id"), registered.text("registration_access_token"), body)
}

// fixed makes everything except registration access tokens predictable.
func fixed(_ *dcr.DefaultValidator, o *dcr.Options) {
	clients, secrets := 0, 0
	o.Endpoint = "https://id.example.com/connect/dcr"
	o.Now = func() time.Time { return noon }
	o.NewClientID = func(context.Context, *dcr.Registration) (string, error) {
		clients++
		return fmt.Sprintf("client-%d", clients), nil
	}
	o.NewClientSecret = func(context.Context, *dcr.Registration) (dcr.Plaintext, dcr.Secret, error) {
		secrets++
		secret := dcr.Plaintext(fmt.Sprintf("secret-%d%s", secrets, strings.Repeat("-", 64)))
		return secret, dcr.HashSecret(secret), nil
	}
}

func switches(t *testing.T, words []string) (changes []change) {
	t.Helper()
	known := map[string]change{
		"duende": duendeMembers(policy.DuendeLimits{}), "sealed": sealed(t), "http": allowHTTP,
		"scopes": defaultScopes("openid"), "federation": extended(extension.Federation()...),
	}
	for _, word := range words {
		if known[word] == nil {
			t.Fatalf("there is no switch called %s", word)
		}
		changes = append(changes, known[word])
	}
	return changes
}

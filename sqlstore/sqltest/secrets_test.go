package sqltest

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/admin"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/sqlstore"
)

// TestNoSecretIsInTheFiles checks that no file of the database has a secret that
// was issued (by registration, rotation or an operator) or the token with which
// the client registered.
func TestNoSecretIsInTheFiles(t *testing.T) {
	directory := t.TempDir()
	d := databases[0]
	store := d.storeIn(t, d.open(t, sqlstore.SQLiteDSN(filepath.Join(directory, "clients.db"))), nil)
	initial := &callerauth.InitialAccessTokens{Store: store}
	invitation, _, err := initial.Issue(t.Context(), dcr.InitialAccessToken{Subject: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	handler, err := dcr.NewHandler(store, &dcr.Options{
		Endpoint: "https://id.example.com/connect/dcr", Caller: initial.Authenticate, RotateSecret: true, RotateRegistrationToken: true,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, token, body string, query string) (answer struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
		Token  string `json:"registration_access_token"`
	}) {
		t.Helper()
		r := httptest.NewRequest(method, "/connect/dcr"+query, strings.NewReader(body))
		r.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + token}}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.Secret == "" || answer.Token == "" {
			t.Fatalf("%s: %d %s", method, w.Code, w.Body)
		}
		return answer
	}
	const body = `"redirect_uris":["https://app.example.com/callback"]}`
	first := ask("POST", invitation.Reveal(), "{"+body, "")
	second := ask("PUT", first.Token, `{"client_id":"`+first.ID+`",`+body, "?client_id="+first.ID)
	third, err := (&admin.Admin{Store: store, Handler: handler}).RotateSecret(t.Context(), first.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(directory, "*"))
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found = found || bytes.Contains(content, []byte(first.ID))
		for _, secret := range []string{invitation.Reveal(), first.Secret, first.Token, second.Secret, second.Token, third.Reveal()} {
			if bytes.Contains(content, []byte(secret)) {
				t.Errorf("%s has a secret", file)
			}
		}
	}
	if !found {
		t.Errorf("the client is in none of %q", files)
	}
}

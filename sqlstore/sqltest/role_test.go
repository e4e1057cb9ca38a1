package sqltest

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/sqlstore"
)

// TestReader checks that the database user of docs/recipes.md can do what an
// authorization server does, and cannot register or change clients.
func TestReader(t *testing.T) {
	page, err := os.ReadFile("../../docs/recipes.md")
	if err != nil {
		t.Fatal(err)
	}
	_, grants, _ := strings.Cut(string(page), "```sql\n")
	grants, _, found := strings.Cut(grants, "```")
	if !found {
		t.Fatal("the page has no SQL")
	}
	c := newCluster(t)
	c.start(t)
	postgres := databases[1]
	db := postgres.open(t, c.dsn())
	registrar := postgres.storeIn(t, db, nil)
	for _, statement := range []string{"CREATE ROLE authserver LOGIN", grants} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	client := dcr.NewClient()
	client.ID = "one"
	if err := registrar.Add(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	store := sqlstore.New(postgres.open(t, strings.Replace(c.dsn(), "user=dcr", "user=authserver", 1)), postgres.dialect, nil)
	now := time.Now()
	if err := errors.Join(
		store.Migrate(t.Context()), // which has nothing to do
		store.TouchClient(t.Context(), "one", now),
		store.NoteConsent(t.Context(), "one", "olga", now),
	); err != nil {
		t.Error(err)
	}
	for _, want := range []bool{true, false} {
		if fresh, err := store.Remember(t.Context(), "assertion", now.Add(time.Minute), now); fresh != want || err != nil {
			t.Errorf("an assertion is fresh: %t, %v", fresh, err)
		}
	}
	read, err := store.FindByClientID(t.Context(), "one")
	if err != nil || read.ActivatedBy != "olga" {
		t.Fatal("the client is not found, or not as it was noted: ", err)
	}
	other := dcr.NewClient()
	other.ID = "two"
	for what, err := range map[string]error{
		"add": store.Add(t.Context(), other), "change": store.Update(t.Context(), read), "delete": store.Delete(t.Context(), "one"),
	} {
		if err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("the authorization server can %s clients: %v", what, err)
		}
	}
}

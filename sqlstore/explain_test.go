package sqlstore

import (
	"database/sql/driver"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
)

// TestPoolerNamesTheSetting checks that if a pooler mixes up prepared
// statements, the error immediately says what to set.
func TestPoolerNamesTheSetting(t *testing.T) {
	for _, mixed := range []fakeSQLState{"26000", "42P05"} {
		server := &fakeServer{
			exec:  func(string, []driver.NamedValue) (int64, error) { return 0, mixed },
			query: func(string, []driver.NamedValue) ([]driver.Value, error) { return nil, mixed },
		}
		store := server.store(t, PostgreSQL, nil)
		_, find := store.FindByClientID(t.Context(), "one")
		for call, err := range map[string]error{
			"Add": store.Add(t.Context(), &dcr.Client{ID: "one"}), "Find": find, "Delete": store.Delete(t.Context(), "one"),
		} {
			if err == nil || !strings.Contains(err.Error(), "default_query_exec_mode=exec") || !strings.Contains(err.Error(), string(mixed)) {
				t.Errorf("%s returned %v", call, err)
			}
		}
		if server.execs+server.queries > 3 {
			t.Error("it was tried again")
		}
	}
}

package sqlstore

import (
	"database/sql/driver"
	"fmt"
	"testing"
)

// TestFewTexts checks that lists of ids of many lengths use only a few SQL texts,
// since drivers and servers keep each of them prepared.
func TestFewTexts(t *testing.T) {
	for dialect, most := range map[Dialect]int{PostgreSQL: 1, MySQL: 10, SQLite: 10} {
		store := (&fakeServer{}).store(t, dialect, nil)
		texts := make(map[string]bool)
		var ids []any
		for n := range 400 {
			ids = append(ids, fmt.Sprint("id-", n))
			some := store.among("client_id", ids)
			texts[some.condition] = true
			for _, arg := range some.args {
				if !driver.IsValue(arg) {
					t.Fatalf("an argument is a %T", arg)
				}
			}
		}
		if len(texts) > most {
			t.Errorf("%v: 400 lists make %d texts", dialect, len(texts))
		}
	}
}

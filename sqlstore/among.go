package sqlstore

// The condition that a column has one of several values.

import (
	"slices"
	"strings"
)

// membership is the condition that a column has one of several texts.
type membership struct {
	condition string
	args      []any
}

// among returns the condition that the column has one of texts, which must not be
// empty. Drivers and servers cache each SQL text that they prepare, so among makes only
// a few: one if a parameter can be a list, otherwise one for each power of two.
func (d *database) among(column string, texts []any) membership {
	if d.dialect == PostgreSQL {
		return membership{column + " = ANY (CAST(? AS text[]))", []any{arrayOf(texts)}}
	}
	places := 1
	for places < len(texts) {
		places *= 2
	}
	last := texts[len(texts)-1]
	args := slices.Concat(texts, slices.Repeat([]any{last}, places-len(texts)))
	return membership{column + " IN (?" + strings.Repeat(", ?", places-1) + ")", args}
}

var arrayEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// arrayOf writes texts as a PostgreSQL array, in a string that every driver can send.
func arrayOf(texts []any) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = `"` + arrayEscapes.Replace(text.(string)) + `"`
	}
	return "{" + strings.Join(quoted, ",") + "}"
}

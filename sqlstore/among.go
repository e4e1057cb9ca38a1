package sqlstore

import (
	"slices"
	"strings"
)

// membership is the condition that a column holds one of some texts.
type membership struct {
	condition string
	args      []any
}

// among is the condition that the column holds one of the texts, of which there
// is at least one. Drivers and servers keep what they prepared of each text of
// SQL, so there are few of them, however many texts there are: one where a
// parameter can be a list, else one for each power of two.
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

// arrayOf writes texts as PostgreSQL reads an array, which every driver sends.
func arrayOf(texts []any) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = `"` + arrayEscapes.Replace(text.(string)) + `"`
	}
	return "{" + strings.Join(quoted, ",") + "}"
}

// Package explainpage is a page on which a person chooses a known client and a policy, or
// pastes a request, and reads what the server would do with it. It needs no scripts and
// allows none.
package explainpage

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
)

//go:embed page.html
var source string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"shown":     shown,
	"shownJSON": shownJSON,
}).Parse(source))

// policy is the Content-Security-Policy: the page's own style, its form, and nothing
// else.
var policy = func() string {
	_, style, _ := strings.Cut(source, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	digest := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) +
		"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}()

// maxForm limits the size of a form: it allows a request larger than any server
// accepts, with each byte escaped as three.
const maxForm = 256 << 10

// form has the choices of the person, and the options to choose from.
type form struct {
	Clients, Presets        []string
	Client, Preset, Request string
	Fault                   string // why there is no explanation
	Decision                *decision
}

// decision is a Decision whose refusal a template can read.
type decision struct {
	*dcr.Decision
	Err *dcr.Error
}

// New returns the page of a handler. presets are the names in its Options.Policies
// that a person can choose.
func New(handler *dcr.Handler, presets []string) http.Handler {
	known := make(map[string]string)
	var names []string
	for _, client := range dcrtest.Clients() {
		known[client.Name] = string(client.Request)
		names = append(names, client.Name)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		f := form{Clients: names, Presets: presets}
		status := http.StatusOK
		if err := r.ParseForm(); err != nil {
			f.Fault, status = "The form is malformed, or too large.", http.StatusBadRequest
		} else {
			f.Client, f.Preset, f.Request = r.Form.Get("client"), r.Form.Get("preset"), r.Form.Get("request")
			status = f.explain(r, handler, known)
		}
		f.write(w, status)
	})
}

// explain explains the chosen request.
func (f *form) explain(r *http.Request, handler *dcr.Handler, known map[string]string) (status int) {
	request, isKnown := known[f.Client]
	switch {
	case f.Client != "" && !isKnown:
		f.Fault = "No known client has this name."
		return http.StatusBadRequest
	case f.Preset != "" && !slices.Contains(f.Presets, f.Preset):
		f.Fault = "This policy does not exist."
		return http.StatusBadRequest
	case isKnown:
		f.Request = indented(request)
	case f.Request == "":
		return http.StatusOK
	}
	explained, err := handler.Explain(r.Context(), f.Preset, []byte(f.Request))
	if err != nil {
		f.Fault = "The server failed to check the request."
		return http.StatusInternalServerError
	}
	f.Decision = &decision{Decision: explained}
	errors.As(explained.Err, &f.Decision.Err)
	return http.StatusOK
}

func (f *form) write(w http.ResponseWriter, status int) {
	var text bytes.Buffer
	if err := page.Execute(&text, f); err != nil {
		http.Error(w, "the page could not be written", http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", policy)
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(text.Bytes())
}

func indented(request string) string {
	var text bytes.Buffer
	if json.Indent(&text, []byte(strings.TrimSpace(request)), "", "  ") != nil {
		return request
	}
	return text.String()
}

func shownJSON(value json.RawMessage) string {
	var text bytes.Buffer
	if json.Compact(&text, value) != nil {
		return shown(string(value))
	}
	return shown(text.String())
}

// mostMarks is how many combining marks in a row a script needs. More would cover the
// lines above and below.
const mostMarks = 4

// shown returns what a person sees of a value. It cuts a long value, and writes
// invisible characters, such as those that change the direction of text, as their
// JSON escapes.
func shown(value string) string {
	const longest = 600
	var text strings.Builder
	marks := mostMarks // a mark at the beginning has no letter to combine with
	for i, r := range value {
		if text.Len() > longest {
			return fmt.Sprintf("%s… and %d bytes more", text.String(), len(value)-i)
		}
		if marks++; !unicode.In(r, unicode.Mn, unicode.Me) {
			marks = 0
		}
		if isVisible(r) && marks <= mostMarks {
			text.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&text, `\u%04x`, unit)
		}
	}
	return text.String()
}

// isVisible leaves out the fillers and selectors that count as printable.
func isVisible(r rune) bool {
	return unicode.IsPrint(r) && r != '\u2800' && // a Braille pattern without dots
		!unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

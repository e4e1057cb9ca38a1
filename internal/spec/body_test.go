package spec_test

// Which bodies are read, refused or ignored.

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

func TestOddBodies(t *testing.T) {
	nested := strings.Repeat(`{"a":`, 50) + "1" + strings.Repeat("}", 50)
	many := make([]string, 100_000)
	for i := range many {
		many[i] = fmt.Sprintf(`"m%d":1`, i)
	}
	cases := []struct {
		sentence, contentType, body string
		status                      int
		code                        dcr.Code
		says                        string
	}{
		{"no body", "application/json", ``, 400, dcr.InvalidClientMetadata, "the body is empty; it must be a JSON object"},
		{"a body of white space", "application/json", " \n", 400, dcr.InvalidClientMetadata, "the body is empty"},
		{"null", "application/json", `null`, 400, dcr.InvalidClientMetadata, "JSON object"},
		{"an array", "application/json", `[{}]`, 400, dcr.InvalidClientMetadata, "JSON object"},
		{"a string", "application/json", `"x"`, 400, dcr.InvalidClientMetadata, "JSON object"},
		{"a number", "application/json", `5`, 400, dcr.InvalidClientMetadata, "JSON object"},
		{"an empty object lacks redirect_uris", "application/json", `{}`, 400, dcr.InvalidRedirectURI, "redirect_uris"},
		{"ten megabytes", "application/json", `{"client_name":"` + strings.Repeat("x", 10<<20) + `"}`, 413, dcr.InvalidRequest, "65536"},
		{"a hundred thousand members", "application/json", `{` + strings.Join(many, ",") + `}`, 413, dcr.InvalidRequest, ""},
		{"more than 128 members", "application/json", `{` + strings.Join(many[:200], ",") + `}`, 400, dcr.InvalidClientMetadata, ""},
		{"a duplicate member", "application/json", `{"redirect_uris":["https://a.example/"],"redirect_uris":["https://b.example/"]}`, 400, dcr.InvalidClientMetadata, "redirect_uris"},
		{"a duplicate member, escaped", "application/json", `{"redirect_uris":["https://a.example/"],"redirect\u005furis":["https://b.example/"]}`, 400, dcr.InvalidClientMetadata, "redirect_uris"},
		{"a duplicate of an unknown member", "application/json", `{"redirect_uris":["https://a.example/"],"x":1,"x":2}`, 400, dcr.InvalidClientMetadata, "x"},
		{"trailing garbage", "application/json", plainBody + `x`, 400, dcr.InvalidClientMetadata, ""},
		{"two objects", "application/json", plainBody + plainBody, 400, dcr.InvalidClientMetadata, ""},
		{"a byte order mark", "application/json", "\ufeff" + plainBody, 400, dcr.InvalidClientMetadata, ""},
		{"invalid UTF-8", "application/json", "{\"client_name\":\"\xff\"}", 400, dcr.InvalidClientMetadata, ""},
		{"a lone surrogate", "application/json", `{"client_name":"\ud800"}`, 400, dcr.InvalidClientMetadata, "client_name"},
		{"NUL in a name", "application/json", `{"client_name":"a\u0000b","redirect_uris":["https://a.example/"]}`, 400, dcr.InvalidClientMetadata, "client_name"},
		{"a control character of C1 in a name", "application/json", `{"client_name":"a\u0085b","redirect_uris":["https://a.example/"]}`, 400, dcr.InvalidClientMetadata, "client_name"},
		{"deep nesting", "application/json", nested, 400, dcr.InvalidClientMetadata, ""},
		{"unfinished JSON", "application/json", `{"redirect_uris":[`, 400, dcr.InvalidClientMetadata, ""},
		{"single quotes", "application/json", `{'redirect_uris':[]}`, 400, dcr.InvalidClientMetadata, ""},
		{"a string for a list", "application/json", `{"redirect_uris":"https://a.example/"}`, 400, dcr.InvalidRedirectURI, "redirect_uris must be a JSON array"},
		{"a number in a list", "application/json", `{"redirect_uris":["https://a.example/",5]}`, 400, dcr.InvalidRedirectURI, "redirect_uris[1]"},
		{"null in a list", "application/json", `{"redirect_uris":[null]}`, 400, dcr.InvalidRedirectURI, "redirect_uris[0]"},
		{"an empty string in a list", "application/json", `{"redirect_uris":[""]}`, 400, dcr.InvalidRedirectURI, "redirect_uris[0]"},
		{"a list for a string", "application/json", `{"client_name":["x"],"redirect_uris":["https://a.example/"]}`, 400, dcr.InvalidClientMetadata, "client_name must be a JSON string"},
		{"an array for scope", "application/json", `{"scope":["openid"],"redirect_uris":["https://a.example/"]}`, 400, dcr.InvalidClientMetadata, "scope"},
		{"a string for jwks", "application/json", `{"jwks":"{}","redirect_uris":["https://a.example/"]}`, 400, dcr.InvalidClientMetadata, "jwks must be a JSON object"},
		{"a form", "application/x-www-form-urlencoded", `client_name=x`, 415, dcr.InvalidRequest, "application/json"},
		{"no content type", "", plainBody, 415, dcr.InvalidRequest, "application/json"},
		{"an invalid content type", "json", plainBody, 415, dcr.InvalidRequest, ""},
		{"a content type of two words", "application/json json", plainBody, 415, dcr.InvalidRequest, ""},
	}
	store := memstore.New()
	r := serve(t, newHandler(t, store, dcr.Options{AllowAnonymous: true}))
	for _, c := range cases {
		t.Run(c.sentence, func(t *testing.T) {
			a := r.doAs(t, c.contentType, "POST", "/connect/dcr", "", c.body)
			refused := a.members
			description, _ := refused["error_description"].(string)
			if a.status != c.status || refused["error"] != string(c.code) || !strings.Contains(description, c.says) {
				t.Errorf("status %d: %s; want %d %s naming %q", a.status, a.body, c.status, c.code, c.says)
			}
			if len(refused) != 2 || description == "" {
				t.Errorf("body %s, want only error and error_description", a.body)
			}
			if a.header.Get("Content-Type") != "application/json" || a.header.Get("WWW-Authenticate") != "" {
				t.Errorf("headers %v", a.header)
			}
		})
	}
	if count, _ := store.CountClients(t.Context(), dcr.Filter{}); count != 0 {
		t.Errorf("%d clients were stored", count)
	}
}

func TestToleratedBodies(t *testing.T) {
	cases := []struct{ sentence, contentType, body string }{
		{"a charset", "application/json; charset=utf-8", plainBody},
		{"a charset in another spelling", "application/json;charset=utf8", plainBody},
		{"a charset that JSON does not have", "application/json; charset=iso-8859-1", plainBody},
		{"a charset without a value", "application/json; charset=", plainBody},
		{"an invalid parameter", "application/json; ;", plainBody},
		{"a media type in capitals", "Application/JSON", plainBody},
		{"unknown members", "application/json", `{"redirect_uris":["https://a.example/"],"resource":"https://b.example/","x":{"y":[1,2,3]}}`},
		{"null and the empty string count as absent", "application/json", `{"redirect_uris":["https://a.example/"],"logo_uri":null,"contacts":null,"client_uri":"","scope":""}`},
		{"a name in another case is another member", "application/json", `{"Redirect_URIs":["javascript:x"],"redirect_uris":["https://a.example/"]}`},
		{"members that only the server issues are ignored", "application/json", `{"redirect_uris":["https://a.example/"],"client_id":5,"client_secret":"mine","registration_access_token":null}`},
	}
	r := serve(t, newHandler(t, memstore.New(), dcr.Options{AllowAnonymous: true}))
	for _, c := range cases {
		t.Run(c.sentence, func(t *testing.T) {
			a := r.doAs(t, c.contentType, "POST", "/connect/dcr", "", c.body)
			if a.status != 201 {
				t.Fatalf("status %d: %s", a.status, a.body)
			}
			if client := a.members; client["client_id"] == 5.0 || client["client_secret"] == "mine" || client["resource"] != nil {
				t.Errorf("answer %s", a.body)
			}
		})
	}
}

func TestCompressedBodyIsRefused(t *testing.T) {
	handler := newHandler(t, memstore.New(), dcr.Options{AllowAnonymous: true})
	request := newRequest("POST", "/connect/dcr", "", plainBody)
	request.Header.Set("Content-Encoding", "gzip")
	if a := exchange(t, handler, request); a.status != 415 {
		t.Errorf("status %d, want 415", a.status)
	}
}

func TestOuterBodyLimitIsHonoured(t *testing.T) {
	handler := newHandler(t, memstore.New(), dcr.Options{AllowAnonymous: true})
	r := serve(t, http.MaxBytesHandler(handler, 20))
	if a := r.do(t, "POST", "/connect/dcr", "", plainBody); a.status != 413 {
		t.Errorf("status %d: %s", a.status, a.body)
	}
}

func TestCallerIsSettledBeforeTheBody(t *testing.T) {
	handler := newHandler(t, memstore.New(), dcr.Options{})
	request := dress(httptest.NewRequest("POST", "/connect/dcr", panicReader{}), "application/json", "")
	if a := exchange(t, handler, request); a.status != 401 {
		t.Errorf("status %d, want 401", a.status)
	}
}

type panicReader struct{}

func (panicReader) Read([]byte) (int, error) { panic("the body was read") }

// TestWhatCameIsNamed checks that a 415 says what was sent, and that a header
// that is sent twice is refused.
func TestWhatCameIsNamed(t *testing.T) {
	h := newHandler(t, memstore.New(), dcr.Options{AllowAnonymous: true})
	for _, c := range []struct {
		sentence        string
		types, encoding []string
		want            string
	}{
		{"another type", []string{"text/plain; charset=utf-8"}, nil, "the request has text/plain"},
		{"no type", nil, nil, "the request has no Content-Type"},
		{"two types, one of them right", []string{"application/json", "text/plain"}, nil, "the request has more than one Content-Type"},
		{"the right type twice", []string{"application/json", "application/json"}, nil, "the request has more than one Content-Type"},
		{"an invalid media type", []string{`"<script>"`}, nil, "the request has no media type"},
		{"a compressed body", []string{"application/json"}, []string{"gzip"}, "the request has application/json with a Content-Encoding"},
		{"two encodings, the first of them none", []string{"application/json"}, []string{"identity", "gzip"}, "the request has application/json with a Content-Encoding"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			r := httptest.NewRequest("POST", endpoint, strings.NewReader(plainBody))
			r.Header["Content-Type"], r.Header["Content-Encoding"] = c.types, c.encoding
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != 415 || !strings.Contains(w.Body.String(), c.want) || strings.Contains(w.Body.String(), "<script") {
				t.Errorf("status %d: %s, want %q", w.Code, w.Body, c.want)
			}
		})
	}
}

// TestNoFormatShowsARequest checks that the secret in the body of an update is
// not logged, whatever prints the request.
func TestNoFormatShowsARequest(t *testing.T) {
	request, err := dcr.ParseRequest([]byte(`{"client_id":"a","client_secret":"hush-hush"}`), dcr.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown := fmt.Sprintf(verb, request) + fmt.Sprintf(verb, *request) + fmt.Sprintf(verb, &dcr.Registration{Request: request})
		if strings.Contains(shown, "hush") || strings.Contains(shown, "687573682d68757368") || strings.Contains(shown, "104 117 115 104") {
			t.Errorf("%s shows %s", verb, shown)
		}
	}
	for _, handler := range []func(io.Writer) slog.Handler{
		func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
		func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
	} {
		var log bytes.Buffer
		slog.New(handler(&log)).Info("request", "request", request, "copy", *request, "registration", dcr.Registration{Request: request})
		if strings.Contains(log.String(), "hush") {
			t.Errorf("logged %s", log.String())
		}
	}
}

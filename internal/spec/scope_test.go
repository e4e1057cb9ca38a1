package spec_test

import (
	"strings"
	"testing"

	"github.com/dynreg/dcr"
)

const closedScopes = `{"scopes_supported":["openid","profile","email","offline_access"]}`

func defaultScopes(scopes ...string) change {
	return func(v *dcr.DefaultValidator, _ *dcr.Options) { v.DefaultScopes = scopes }
}

func TestScope(t *testing.T) {
	start(t, closedScopes).judge(t, []wireCase{
		{sentence: "what is supported is granted", request: `{"scope":"openid profile"}`, answer: `{"scope":"openid profile"}`},
		{sentence: "order means nothing and is kept", request: `{"scope":"profile openid"}`, answer: `{"scope":"profile openid"}`},
		{sentence: "what is not supported is dropped, visibly (RFC 7591 §2)", request: `{"scope":"openid admin email"}`, answer: `{"scope":"openid email"}`},
		{sentence: "where nothing remains, the member is left out", request: `{"scope":"admin root"}`, answer: `{"scope":null}`},
		{sentence: "nobody is given what nobody asked for", answer: `{"scope":null}`},
		{sentence: "one scope twice is one scope", request: `{"scope":"openid openid"}`, answer: `{"scope":"openid"}`},
		{sentence: "more than one space separates all the same", request: `{"scope":"  openid   email "}`, answer: `{"scope":"openid email"}`},
		{sentence: "the empty string counts as absent", request: `{"scope":""}`, answer: `{"scope":null}`},
		{sentence: "scopes are compared with their case (RFC 6749 §3.3)", request: `{"scope":"OpenID email"}`, answer: `{"scope":"email"}`},
		{sentence: "a quotation mark is in no scope (RFC 6749 §3.3)", request: `{"scope":"openid \"x\""}`, code: dcrMetadata, says: "scope must be"},
		{sentence: "a backslash is in no scope (RFC 6749 §3.3)", request: `{"scope":"openid a\\b"}`, code: dcrMetadata, says: "scope must be"},
		{sentence: "nor is anything beyond ASCII", request: `{"scope":"openid é"}`, code: dcrMetadata, says: "scope must be"},
		{sentence: "tab, CR and LF separate scopes too (ltijs#230)", request: `{"scope":"\n    openid\temail\r\n"}`, answer: `{"scope":"openid email"}`},
		{sentence: "white space alone is no scope", request: `{"scope":" \n"}`, code: dcrMetadata, says: "scope must be"},
		{sentence: "nor is a control character", request: `{"scope":"openid\u000bemail"}`, code: dcrMetadata, says: "scope must not contain control characters"},
		{sentence: "nobody registers for every scope", request: `{"scope":"*"}`, code: dcrMetadata, says: "scope must name each scope that is asked for, not *"},
		{sentence: "4,097 bytes are too many", request: `{"scope":"` + strings.Repeat("a", 4097) + `"}`, code: dcrMetadata, says: "scope must not be longer than 4096 bytes"},
	})
	r := start(t, closedScopes)
	r.judge(t, one("scope must be one string (RFC 7591 §2)", "scope", []string{`["openid"]`, `5`, `true`, `{}`, `[]`}, dcrMetadata, "scope must be a JSON string"))
}

func TestScopeCeilings(t *testing.T) {
	start(t, `{}`).judge(t, []wireCase{
		{sentence: "a server that names no scopes grants none", request: `{"scope":"openid"}`, answer: `{"scope":null}`},
	})
	start(t, `{"scopes_supported":["*"]}`).judge(t, []wireCase{
		{sentence: "a server that admits any scope grants what is asked for", request: `{"scope":"anything:at/all"}`, answer: `{"scope":"anything:at/all"}`},
		{sentence: "and still nothing malformed", request: `{"scope":"a\\b"}`, code: dcrMetadata, says: "scope"},
		{sentence: "and still not the star itself", request: `{"scope":"openid *"}`, code: dcrMetadata, says: "scope"},
	})
	start(t, closedScopes, func(v *dcr.DefaultValidator, _ *dcr.Options) { v.RefuseUnsupportedScopes = true }).judge(t, []wireCase{
		{sentence: "where the host says so, what is not supported is refused", request: `{"scope":"openid admin"}`, code: dcrMetadata, says: "scope must be among: openid, profile, email, offline_access"},
		{sentence: "and what is supported is granted", request: `{"scope":"email openid"}`, answer: `{"scope":"email openid"}`},
	})
}

func TestDefaultScopes(t *testing.T) {
	start(t, closedScopes, defaultScopes("openid", "profile")).judge(t, []wireCase{
		{sentence: "who asks for nothing gets the default scopes, and is told (RFC 7591 §2)", answer: `{"scope":"openid profile"}`},
		{sentence: "so does who asks for nothing that is supported", request: `{"scope":"admin"}`, answer: `{"scope":"openid profile"}`},
		{sentence: "who asks for something gets no more than that", request: `{"scope":"email"}`, answer: `{"scope":"email"}`},
		{sentence: "who asks for something and more gets what is supported of it", request: `{"scope":"email admin"}`, answer: `{"scope":"email"}`},
	})
	start(t, `{"scopes_supported":["*"]}`, defaultScopes("a", "b")).judge(t, []wireCase{
		{sentence: "default scopes need no ceiling where any is admitted", answer: `{"scope":"a b"}`},
	})
}

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
		{sentence: "supported scopes are granted", request: `{"scope":"openid profile"}`, answer: `{"scope":"openid profile"}`},
		{sentence: "their order does not matter and is kept", request: `{"scope":"profile openid"}`, answer: `{"scope":"profile openid"}`},
		{sentence: "unsupported scopes are dropped, and the answer shows it (RFC 7591 §2)", request: `{"scope":"openid admin email"}`, answer: `{"scope":"openid email"}`},
		{sentence: "if nothing remains, the member is left out", request: `{"scope":"admin root"}`, answer: `{"scope":null}`},
		{sentence: "a client that asks for no scopes gets none", answer: `{"scope":null}`},
		{sentence: "a scope that is sent twice is registered once", request: `{"scope":"openid openid"}`, answer: `{"scope":"openid"}`},
		{sentence: "several spaces are one separator", request: `{"scope":"  openid   email "}`, answer: `{"scope":"openid email"}`},
		{sentence: "the empty string counts as absent", request: `{"scope":""}`, answer: `{"scope":null}`},
		{sentence: "scopes are case-sensitive (RFC 6749 §3.3)", request: `{"scope":"OpenID email"}`, answer: `{"scope":"email"}`},
		{sentence: "a scope must not have a quotation mark (RFC 6749 §3.3)", request: `{"scope":"openid \"x\""}`, code: dcrMetadata, says: "scope must be"},
		{sentence: "nor a backslash (RFC 6749 §3.3)", request: `{"scope":"openid a\\b"}`, code: dcrMetadata, says: "scope must be"},
		{sentence: "nor anything outside ASCII", request: `{"scope":"openid é"}`, code: dcrMetadata, says: "scope must be"},
		{sentence: "tab, CR and LF separate scopes too (ltijs#230)", request: `{"scope":"\n    openid\temail\r\n"}`, answer: `{"scope":"openid email"}`},
		{sentence: "only white space is refused", request: `{"scope":" \n"}`, code: dcrMetadata, says: "scope must be"},
		{sentence: "and so is a control character", request: `{"scope":"openid\u000bemail"}`, code: dcrMetadata, says: "scope must not contain control characters"},
		{sentence: "nobody registers for every scope", request: `{"scope":"*"}`, code: dcrMetadata, says: "scope must name each scope that is asked for, not *"},
		{sentence: "4,097 bytes are too many", request: `{"scope":"` + strings.Repeat("a", 4097) + `"}`, code: dcrMetadata, says: "scope must not be longer than 4096 bytes"},
	})
	r := start(t, closedScopes)
	r.judge(t, one("scope must be one string (RFC 7591 §2)", "scope", []string{`["openid"]`, `5`, `true`, `{}`, `[]`}, dcrMetadata, "scope must be a JSON string"))
}

func TestScopeCeilings(t *testing.T) {
	start(t, `{}`).judge(t, []wireCase{
		{sentence: "a server without scopes grants none", request: `{"scope":"openid"}`, answer: `{"scope":null}`},
	})
	start(t, `{"scopes_supported":["*"]}`).judge(t, []wireCase{
		{sentence: "a server that accepts any scope grants what is asked for", request: `{"scope":"anything:at/all"}`, answer: `{"scope":"anything:at/all"}`},
		{sentence: "but nothing malformed", request: `{"scope":"a\\b"}`, code: dcrMetadata, says: "scope"},
		{sentence: "and not the star itself", request: `{"scope":"openid *"}`, code: dcrMetadata, says: "scope"},
	})
	start(t, closedScopes, func(v *dcr.DefaultValidator, _ *dcr.Options) { v.RefuseUnsupportedScopes = true }).judge(t, []wireCase{
		{sentence: "if the host says so, unsupported scopes are refused", request: `{"scope":"openid admin"}`, code: dcrMetadata, says: "scope must be among: openid, profile, email, offline_access"},
		{sentence: "and supported ones are granted", request: `{"scope":"email openid"}`, answer: `{"scope":"email openid"}`},
	})
}

func TestDefaultScopes(t *testing.T) {
	start(t, closedScopes, defaultScopes("openid", "profile")).judge(t, []wireCase{
		{sentence: "a client that asks for nothing gets the default scopes, and they are returned (RFC 7591 §2)", answer: `{"scope":"openid profile"}`},
		{sentence: "so does one that asks only for unsupported scopes", request: `{"scope":"admin"}`, answer: `{"scope":"openid profile"}`},
		{sentence: "a client that asks for something gets no more than that", request: `{"scope":"email"}`, answer: `{"scope":"email"}`},
		{sentence: "of several scopes, it gets the supported ones", request: `{"scope":"email admin"}`, answer: `{"scope":"email"}`},
	})
	start(t, `{"scopes_supported":["*"]}`, defaultScopes("a", "b")).judge(t, []wireCase{
		{sentence: "default scopes need no ceiling if any scope is accepted", answer: `{"scope":"a b"}`},
	})
}

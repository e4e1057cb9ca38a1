package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mutant is main.go with one fault. Each old text occurs in main.go once.
type mutant struct {
	caught   string // the only case of TestHost that finds it; "" for a server without a fault
	old, new string
	more     []string // further pairs of old and new
}

const (
	judging      = "\tgranted, err := client.CheckAuthorization("
	verifying    = "if err := client.VerifyCodeVerifier(t.challenge, \"S256\", r.PostFormValue(\"code_verifier\")); err != nil {"
	identified   = "\tsender, err := authenticate(r)\n"
	starting     = "\ts := &server{issuer: issuer,"
	exchanging   = "\tauthenticate := s.clients.Authenticate\n"
	failing      = "\tresponse, err := s.exchange(r)\n"
	grantTypes   = "\tclient, grantType := sender.Client, r.PostFormValue(\"grant_type\")\n"
	hasGrant     = "case !client.HasGrant(grantType):"
	sameClient   = "t.clientID != client.ID {"
	authenticatr = "s.clients = &clientauth.Authenticator{Store: store, Audience: []string{issuer, issuer + \"/token\"}}"
	asked        = "\tscopes := client.GrantScopes(t.scopes)\n\tif asked"
	described    = "\"introspection_endpoint\":"
	methods      = "TokenEndpointAuthMethods: []string{\"none\", \"client_secret_basic\", \"client_secret_post\", \"private_key_jwt\"}"
	tokenAt      = "mux.Handle(\"/token\", pages.Wrap(http.HandlerFunc(s.token), \"POST\"))"
	introspectAt = "s.clients.Require(http.HandlerFunc(s.introspect))"
	revokeAt     = "s.clients.Require(http.HandlerFunc(s.revoke))"
	ofTheClient  = "known && t.clientID == clientauth.FromContext(r.Context()).Client.ID"
)

// letIn returns a mutant that accepts a refused client under a condition.
func letIn(caught, grantType, condition string) mutant {
	return mutant{caught: caught, old: identified, new: identified + fmt.Sprintf(
		"\tsender, err = s.letIn(r, sender, err, %q, func(client *dcr.Client, secret dcr.Plaintext) bool { return %s })\n", grantType, condition)}
}

// revive returns a mutant whose store changes the public clients that it returns.
func revive(caught, seen, change string) mutant {
	return mutant{caught: caught, old: starting, new: "\tstore = revived{store, func(client *dcr.Client) { " + change + " }, " + seen + "}\n" + starting}
}

// before returns a mutant that runs a statement before the text.
func before(caught, text, does string) mutant {
	return mutant{caught: caught, old: text, new: "\t" + does + "\n" + text}
}

// lenient accepts a second path for the client's redirect URI.
const lenient = `if asked := query.Get("redirect_uri"); asked == client.RedirectURIs[0] + "/more" { client.RedirectURIs = append(client.RedirectURIs, asked) }`

// onlyBy is before in a server that supports one method of authentication.
func onlyBy(method, caught, text, does string) mutant {
	m := before(caught, text, does)
	m.more = []string{methods, fmt.Sprintf("TokenEndpointAuthMethods: []string{%q}", method)}
	return m
}

var mutants = []mutant{
	before("LoopbackPort", judging, `client.ApplicationType = "web"`),
	before("LoopbackLookalike", judging, `if strings.HasPrefix(query.Get("redirect_uri"), "http://localhost") { client.RedirectURIs = append(client.RedirectURIs, query.Get("redirect_uri")) }`),
	before("LoopbackLookalike", judging, `if client.Public() && strings.HasSuffix(query.Get("redirect_uri"), "/callback/") { client.RedirectURIs = append(client.RedirectURIs, query.Get("redirect_uri")) }`),
	before("LoopbackWeb", judging, `client.ApplicationType = "native"`),
	before("WebLookalike", judging, `if strings.HasPrefix(query.Get("redirect_uri"), client.RedirectURIs[0] + "/") && !client.Public() { client.RedirectURIs = append(client.RedirectURIs, query.Get("redirect_uri")) }`),
	before("LoopbackLookalike", judging, `if asked, _, more := strings.Cut(query.Get("redirect_uri"), "#"); more && client.Public() && asked == client.RedirectURIs[0] { client.RedirectURIs = append(client.RedirectURIs, query.Get("redirect_uri")) }`),
	before("WebLookalike", judging, `if asked, _, more := strings.Cut(query.Get("redirect_uri"), "?"); more && !client.Public() && asked == client.RedirectURIs[0] { client.RedirectURIs = append(client.RedirectURIs, query.Get("redirect_uri")) }`),
	before("LoopbackPort", judging, `if client.RedirectURIs[0] == "http://localhost/callback" { client.ApplicationType = "web" }`),
	before("ResponseMode", judging, `if query.Has("response_mode") { query.Set("response_mode", "jwt") }`),
	{caught: "UnvalidatedRedirect", old: `http.Error(w, "This application may not send you here: "+refused.Description, http.StatusBadRequest)`,
		new: `s.answer(w, r, query.Get("redirect_uri"), "error", string(refused.Code))`},
	onlyBy("none", "WebLookalike", judging, lenient),
	onlyBy("private_key_jwt", "WebLookalike", judging, lenient),
	{caught: "", old: authenticatr, new: `s.clients = &clientauth.Authenticator{Store: store, Audience: []string{issuer}, Strict: true, RequireType: true, IssuerAudienceOnly: true}`},
	{caught: "NoChallenge", old: judging, new: "\tclient.RequirePKCE = false\n" + judging, more: []string{verifying, "client.RequirePKCE = false\n\t" + verifying}},
	{caught: "NoVerifier", old: verifying, new: strings.Replace(verifying, "err != nil", `err != nil && r.PostFormValue("code_verifier") != ""`, 1)},
	{caught: "WrongVerifier", old: verifying, new: strings.Replace(verifying, "err != nil", `err != nil && (r.PostFormValue("code_verifier") == "" || t.challenge == "")`, 1)},
	{caught: "PlainChallenge", old: judging, new: `	if method := query.Get("code_challenge_method"); query.Has("code_challenge") && (method == "" || method == "plain") {
		digest := sha256.Sum256([]byte(query.Get("code_challenge")))
		query.Set("code_challenge", base64.RawURLEncoding.EncodeToString(digest[:]))
		query.Set("code_challenge_method", "S256")
	}
` + judging, more: []string{"\t\"crypto/rand\"\n", "\t\"crypto/rand\"\n\t\"crypto/sha256\"\n\t\"encoding/base64\"\n"}},
	{caught: "PKCEDowngrade", old: verifying, new: strings.Replace(verifying, "err != nil", `err != nil && t.challenge != ""`, 1)},
	{caught: "CodeTwice", old: "t.used = t.used || good", new: `t.used = t.used || good && kind != "code"`},
	{caught: "CodeOtherClient", old: sameClient, new: `kind != "code" && ` + sameClient},
	{caught: "CodeOtherRedirect", old: `!good || t.redirectURI != r.PostFormValue("redirect_uri")`, new: `!good`},
	letIn("StrongerMethod", "", "client.MatchSecret(secret, time.Now())"),
	letIn("StrongerMethod", "authorization_code", `client.TokenEndpointAuthMethod == "private_key_jwt" && r.PostFormValue("client_assertion") == "" && secret == ""`),
	letIn("NoCredentials", "authorization_code", `client.TokenEndpointAuthMethod == "client_secret_basic" && secret == ""`),
	letIn("WrongSecret", "authorization_code", `client.TokenEndpointAuthMethod == "client_secret_basic" && secret != "" && client.Secrets[0].ExpiresAt.IsZero()`),
	{caught: "WrongSecret", old: failing, new: failing + `	if errors.Is(err, dcr.InvalidClient) { err = refuse(dcr.InvalidGrant, "no") }` + "\n"},
	letIn("ExpiredSecret", "", `client.TokenEndpointAuthMethod == "client_secret_basic" && client.MatchSecret(secret, time.Now().Add(-24*time.Hour))`),
	before("FormEncodedBasic", exchanging, `if id, secret, ok := r.BasicAuth(); ok { r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret)) }`),
	before("AssertionAlgorithm", failing, `if client, err := s.store.FindByClientID(r.Context(), r.PostFormValue("client_id")); err == nil && client.TokenEndpointAuthMethod == "private_key_jwt" && client.TokenEndpointAuthSigningAlg == "" { clientauth.WriteError(w, r, refuse(dcr.InvalidClient, "no")); return }`),
	{caught: "AssertionTwice", old: authenticatr, new: strings.Replace(authenticatr, "{Store", "{Replay: forgets{}, Store", 1)},
	{caught: "AssertionAudience", old: authenticatr, new: strings.Replace(authenticatr, "{issuer,", "{issuer, \"https://other.example\",", 1)},
	{caught: "AssertionExpired", old: authenticatr, new: strings.Replace(authenticatr, "{Store", "{Skew: 2 * time.Hour, Store", 1)},
	letIn("AssertionSignature", "", `s.asserts(r, client, "signature")`),
	{caught: "GuardedFetch", old: authenticatr, new: strings.Replace(authenticatr, "{Store", "{Keys: &dcr.ClientKeys{Fetch: reckless}, Store", 1)},
	before("GuardedFetch", judging, `if from := query.Get("request_uri"); from != "" { http.Get(from) }`),
	letIn("AssertionIssuer", "", `s.asserts(r, client, "iss")`),
	{caught: "ClientCredentials", old: grantTypes, new: grantTypes + `	if grantType == "client_credentials" { return s.respond(&grant{clientID: client.ID}, client, nil), nil }` + "\n"},
	before("JWTBearer", exchanging, `if r.PostFormValue("assertion") != "" { return s.respond(&grant{}, dcr.NewClient(), strings.Fields(r.PostFormValue("scope"))), nil }`),
	{caught: "RefreshOtherClient", old: sameClient, new: `kind != "refresh" && ` + sameClient},
	letIn("RefreshWrongSecret", "refresh_token", `client.TokenEndpointAuthMethod == "client_secret_basic" && secret != ""`),
	letIn("RefreshNoSecret", "refresh_token", `client.TokenEndpointAuthMethod == "client_secret_basic" && secret == ""`),
	letIn("RefreshNoSecret", "refresh_token", `client.TokenEndpointAuthMethod == "private_key_jwt" && secret == "" && r.PostFormValue("client_assertion") == ""`),
	{caught: "RefreshWithdrawn", old: hasGrant, new: `case !client.HasGrant(grantType) && grantType != "refresh_token":`},
	{caught: "ScopeAtAuthorize", old: "scopes: granted.Scopes", new: `scopes: strings.Fields(query.Get("scope"))`, more: []string{"s.respond(t.grant, client, client.GrantScopes(t.scopes))", "s.respond(t.grant, client, t.scopes)"}},
	{caught: "ScopeWildcard", old: judging, new: "\tclient.Scope = strings.Replace(client.Scope, \"files.*\", \"files.write\", 1)\n" + judging,
		more: []string{"s.respond(t.grant, client, client.GrantScopes(t.scopes))", "s.respond(t.grant, client, t.scopes)"}},
	{caught: "ScopeAtRefresh", old: "scopes = slices.DeleteFunc(scopes, func(scope string) bool { return !slices.Contains(asked, scope) })", new: "scopes = asked"},
	{caught: "ScopeNarrowed", old: asked, new: "\tscopes := slices.Clone(t.scopes)\n\tif asked"},
	revive("ClientDeleted", "make(map[string]*dcr.Client)", ""),
	revive("ClientDisabled", "nil", "if client.Status == dcr.StatusDisabled { client.Status = dcr.StatusActive }"),
	revive("ClientPending", "nil", "if client.Status == dcr.StatusPending { client.Status = dcr.StatusActive }"),
	revive("ClientExpired", "nil", "client.ExpiresAt = time.Time{}"),
	{caught: "OutageAtAuthorize", old: `"Please try again in a minute.", http.StatusServiceUnavailable`, new: `"invalid_client", http.StatusUnauthorized`},
	{caught: "OutageAtAuthorize", old: `http.Error(w, "Please try again in a minute.", http.StatusServiceUnavailable)`, new: `s.answer(w, r, query.Get("redirect_uri"), "error", "server_error")`},
	{caught: "OutageAtCode", old: failing, new: failing + `	if refused := (*dcr.Error)(nil); err != nil && r.PostFormValue("code") != "" && !errors.As(err, &refused) { err = refuse(dcr.InvalidClient, "no") }` + "\n"},
	{caught: "OutageAtRefresh", old: failing, new: failing + `	if refused := (*dcr.Error)(nil); err != nil && r.PostFormValue("refresh_token") != "" && !errors.As(err, &refused) { err = refuse(dcr.ServerError, "no") }` + "\n"},
	{caught: "OutageAtRefresh", old: identified, new: identified + `	if refused := (*dcr.Error)(nil); err != nil && !errors.As(err, &refused) { delete(s.tokens, key(r.PostFormValue("refresh_token"))) }` + "\n"},
	{caught: "TokenLifetime", old: "int(client.AccessTokenLifetime.Seconds())", new: "3600"},
	{caught: "TokenType", old: "secret := rand.Text()", new: "secret := `eyJhbGciOiJFUzI1NiJ9.e30.` + rand.Text()"},
	{caught: "IntrospectionAnonymous", old: introspectAt, new: "http.HandlerFunc(s.introspect)", more: []string{"clientauth.FromContext(r.Context()).Client.Public()", "false"}},
	{caught: "IntrospectionEnded", old: " || err == nil && !client.Usable(time.Now()):", new: ":"},
	{caught: "RevocationAnonymous", old: revokeAt, new: "http.HandlerFunc(s.revoke)", more: []string{"\tt, known := s.tokens[key(r.PostFormValue(\"token\"))]\n", "\tsender, err := s.clients.Authenticate(r)\n\tt, known := s.tokens[key(r.PostFormValue(\"token\"))]\n", ofTheClient, "known && (err != nil || t.clientID == sender.Client.ID)"}},
	{caught: "RevocationOtherClient", old: ofTheClient, new: "known"},
	{caught: "DiscoveryIssuer", old: "ServeDiscovery(issuer, ", new: `ServeDiscovery(issuer + "/", `},
	{caught: "DiscoveryPath", old: "MaxBytesHandler(mux,", new: "MaxBytesHandler(moved(mux),"},
	{caught: "DiscoveryPKCE", old: described, new: `"code_challenge_methods_supported": []string{"plain", "S256"}, ` + described},
	{caught: "DiscoveryMethods", old: described, new: `"token_endpoint_auth_methods_supported": nil, ` + described},
	{caught: "DiscoveryRegistration", old: described, new: `"registration_endpoint": nil, ` + described},
	{caught: "CORS", old: tokenAt, new: `mux.HandleFunc("/token", s.token)`},
	{caught: "CORSCredentials", old: tokenAt, new: `mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		s.token(w, r)
	})`},
}

// source returns the package of a mutant, in which Host is the server.
func (m mutant) source(t *testing.T, number int, main, mainTest, extra string) map[string]string {
	t.Helper()
	edits := append([]string{m.old, m.new}, m.more...)
	for i := 0; i < len(edits); i += 2 {
		if strings.Count(main, edits[i]) != 1 {
			t.Fatalf("a mutant for %s: main.go does not have this text exactly once: %s", m.caught, edits[i])
		}
		main = strings.Replace(main, edits[i], edits[i+1], 1)
	}
	files := map[string]string{"main.go": main, "host.go": mainTest + "\nvar Host = host\n", "extra.go": extra}
	for name, text := range files {
		files[name] = strings.Replace(text, "package main", fmt.Sprintf("package m%d", number), 1)
	}
	return files
}

// TestMutants shows that TestHost finds each fault in the case that is meant for it,
// and in no other. It builds all mutants into one program and tests them.
func TestMutants(t *testing.T) {
	if os.Getenv("DCR_TEST_LONG") == "" {
		t.Skip("this test builds a package for every mutant: set DCR_TEST_LONG")
	}
	main, mainTest, extra := readFile(t, "main.go"), readFile(t, "main_test.go"), readFile(t, "testdata/mutant.go")
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	dir, overlay := t.TempDir(), make(map[string]string)
	place := func(text string, path ...string) {
		file := filepath.Join(dir, strings.Join(path, "-"))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay[filepath.Join(append([]string{here, "mutants"}, path...)...)] = file
	}
	imports, hosts := "", ""
	for i, m := range mutants {
		for name, text := range m.source(t, i, main, mainTest, extra) {
			place(text, fmt.Sprintf("m%d", i), name)
		}
		imports += fmt.Sprintf("\t\"github.com/dynreg/dcr/examples/ownserver/mutants/m%d\"\n", i)
		hosts += fmt.Sprintf("m%d.Host, ", i)
	}
	place(fmt.Sprintf(`package mutants

import (
	"fmt"
	"testing"

	"github.com/dynreg/dcr/dcrtest"
%s)

func TestAll(t *testing.T) {
	for i, host := range []dcrtest.Host{%s} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			fmt.Println("mutant", i)
			for _, f := range dcrtest.HostFindings(t, host) {
				fmt.Println("finding", i, f.Case, f.Sentence)
			}
		})
	}
}
`, imports, hosts), "all_test.go")
	text, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	overlayFile, program := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "program")
	if err := os.WriteFile(overlayFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "go", "test", "-c", "-vet=off", "-overlay", overlayFile, "-o", program, "./mutants")
	output := run(t, program)
	for i, m := range mutants {
		t.Run(m.caught, func(t *testing.T) {
			if !strings.Contains(output, fmt.Sprintf("mutant %d\n", i)) {
				t.Fatal("the mutant was not tested")
			}
			var cases []string
			for line := range strings.Lines(output) {
				if finding, is := strings.CutPrefix(line, fmt.Sprintf("finding %d ", i)); is {
					name, sentence, _ := strings.Cut(strings.TrimSpace(finding), " ")
					cases = append(cases, name)
					t.Log(sentence)
				}
			}
			if !slices.Equal(cases, strings.Fields(m.caught)) {
				t.Errorf("found by %q", cases)
			}
		})
	}
}

func TestEveryCaseHasAMutant(t *testing.T) {
	documented := regexp.MustCompile("(?m)^\\| `(\\w+)` \\|").FindAllStringSubmatch(readFile(t, "../../docs/testing-your-server.md"), -1)
	if len(documented) == 0 {
		t.Fatal("the page lists no cases")
	}
	for _, row := range documented {
		if !slices.ContainsFunc(mutants, func(m mutant) bool { return m.caught == row[1] }) {
			t.Errorf("no mutant has the fault that %s finds", row[1])
		}
	}
}

func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, output)
	}
	return string(output)
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

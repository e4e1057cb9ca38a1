package policy

// What the national profiles share: members that a directory vouches for in
// its software statements, and clients that manage themselves with access tokens.

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/jose"
	"github.com/dynreg/dcr/internal/uri"
)

// directoryClaims are the claims of a directory's statements that stand for
// registered members; the profiles differ in the name of the key set's.
func directoryClaims(jwksURI string) map[string]string {
	return map[string]string{
		"software_client_name":   "client_name",
		"software_client_uri":    "client_uri",
		"software_logo_uri":      "logo_uri",
		"software_policy_uri":    "policy_uri",
		"software_tos_uri":       "tos_uri",
		"software_redirect_uris": "redirect_uris",
		jwksURI:                  "jwks_uri",
	}
}

// directoryStatements sets up the host's verifier for a profile, as far as the
// host left it open.
func directoryStatements(server *dcr.DefaultValidator, profile, jwksURI string, algs ...string) *dcr.StatementVerifier {
	v := server.Statements
	if v == nil {
		panic("policy: " + profile + " needs Statements: the verifier that names the directory and its keys")
	}
	v.Required = true
	fill(&v.Algorithms, algs...)
	if v.Claims == nil {
		v.Claims = directoryClaims(jwksURI)
	}
	if v.Members == nil {
		v.Members = map[string]dcr.StatementRule{"redirect_uris": dcr.ClaimBounds, "jwks_uri": dcr.ClaimBinds}
	}
	return v
}

// claims are what a directory says about a piece of software.
type claims map[string]json.RawMessage

// storedClaims returns the claims of the statement that a client is stored
// with, which was verified then; nil if there is none.
func storedClaims(client *dcr.Client) (stored claims) {
	if client.Statement == nil {
		return nil
	}
	if token, err := jose.Parse(client.Statement.Text); err == nil {
		json.Unmarshal([]byte(token.Unverified()), &stored)
	}
	return stored
}

// checkSigner refuses a request that the software of its statement did not sign.
func checkSigner(reg *dcr.Registration) error {
	if reg.Explaining && reg.Statement != nil {
		reg.Assume("the body is assumed to be signed by the software of its software_statement")
		return nil
	}
	if reg.Statement == nil || reg.Request.Signer == "" || reg.Request.Signer != reg.Statement.Signer() {
		return refuse("", "signer", "the request must be signed by the software that its software_statement is about")
	}
	return nil
}

// text returns the claim of this name, "" if it is absent or no string.
func (c claims) text(name string) string {
	var text string
	if json.Unmarshal(c[name], &text) != nil {
		return ""
	}
	return text
}

// checkStanding refuses an organisation or a piece of software that is no
// longer active, by the word of the directory.
func (c claims) checkStanding() error {
	for _, name := range []string{"org_status", "software_status"} {
		if said := string(c[name]); said == "" || said == "null" || said == `""` {
			continue
		}
		if !strings.EqualFold(c.text(name), "Active") {
			return refuseStatement(dcr.UnapprovedSoftwareStatement, "software_statement must have "+name+" Active, or leave it out")
		}
	}
	return nil
}

// allScopes are the scopes of every role, each once.
func allScopes(roles map[string][]string) []string {
	var all []string
	for _, role := range slices.Sorted(maps.Keys(roles)) {
		all = append(all, without(roles[role], all...)...)
	}
	return all
}

// publicHTTPS requires redirects to be https on public hosts, and redirect URIs
// to be at most longest bytes long, if that is not zero.
func publicHTTPS(longest int) Rule {
	return redirectRule(redirects{
		rule: "redirect_uris", want: "must be an https URL of a public host, and not too long",
		allowed: func(d *destination, _ []string) bool {
			return !d.back || isPublicHTTPS(&d.URI) && (longest == 0 || d.member != "redirect_uris" || len(d.text) <= longest)
		},
	})
}

// isPublicHTTPS reports whether u is https on a host that is public: a name that
// is not the user's own machine's or one of a local network, or a public address.
func isPublicHTTPS(u *uri.URI) bool {
	if u.Kind() != uri.HTTPS {
		return false
	}
	if _, isAddress := uri.Address(u.Host); isAddress {
		return new(dcr.GuardedClient).Check("https://"+net.JoinHostPort(u.Host, "443")) == nil
	}
	return strings.Contains(u.Host, ".") && !slices.ContainsFunc(localNames, func(name string) bool { return strings.HasSuffix(u.Host, name) })
}

// localNames are the ends of names that are of the user's own machine or of a local
// network (RFC 6761 §6.3, RFC 6762 §3, RFC 8375, and ICANN's reservation of internal).
var localNames = []string{".localhost", ".local", ".home.arpa", ".internal"}

// fapi1Algorithms are those of the Financial-grade API Security Profile 1.0, Part 2:
// Advanced, §8.6.
var fapi1Algorithms = []string{"PS256", "ES256"}

// manageByAccessToken sets the options for clients that manage themselves with access
// tokens of their own, at the registration endpoint followed by their id.
func manageByAccessToken(opts *dcr.Options) {
	opts.OptionalClientID = true
	if opts.ClientURI == "" {
		opts.ClientURI = profileClientURI(opts)
	}
	if opts.ManageAs == nil && !opts.DisableManagement {
		opts.ManageAs = manageOneself
	}
}

// manageOneself is Options.ManageAs for clients that come with a token of their own.
func manageOneself(caller *dcr.Caller, client *dcr.Client) bool {
	return caller.ClientID != "" && caller.ClientID == client.ID
}

func profileClientURI(opts *dcr.Options) string {
	return strings.TrimSuffix(opts.Endpoint, "/") + "/{client_id}"
}

// checkProfileOptions requires what manageByAccessToken sets, and a store that remembers
// jti, unless replay does. settings is the type that has it as Replay.
func checkProfileOptions(preset, settings string, replay dcr.ReplayStore, opts *dcr.Options, store dcr.ClientConfigurationStore) error {
	if _, remembers := dcr.StoreAs[dcr.ReplayStore](store); !remembers && replay == nil {
		return fmt.Errorf("%s takes each request once, which needs a store that is a ReplayStore; use one, or set %s.Replay", preset, settings)
	}
	if !opts.DisableManagement && !opts.OptionalClientID {
		return errors.New(preset + " has updates without client_id; set Options.OptionalClientID, as Apply does")
	}
	return nil
}

// profileURIWarnings are about the address at which clients manage themselves.
func profileURIWarnings(preset string, opts *dcr.Options) []string {
	if opts.DisableManagement || opts.ClientURI == profileClientURI(opts) {
		return nil
	}
	return []string{preset + " manages clients at the registration endpoint followed by /{client_id}; set Options.ClientURI so, as Apply does"}
}

// writeProfileError answers a bad request with one of the codes of RFC 7591.
func writeProfileError(w http.ResponseWriter, r *http.Request, err error) {
	if shown := (*dcr.Error)(nil); errors.As(err, &shown) && shown != nil && shown.Code == dcr.InvalidRequest && shown.Status != http.StatusMethodNotAllowed {
		err = dcr.Errorf(dcr.InvalidClientMetadata, "%.500s", shown.Description)
	}
	dcr.WriteError(w, r, err)
}

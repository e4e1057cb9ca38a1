package cimd

// OAuth Client ID Metadata Document §3: what a client_id must be to be fetched.

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
)

// maxID is the length of the longest URL, in bytes. Every store can hold that.
const maxID = 255

// refuse makes the refusal of a document, or of its URL.
func refuse(rule, format string, args ...any) *dcr.Error {
	refused := dcr.Errorf(dcr.InvalidClient, format, args...)
	refused.Status, refused.Rule = http.StatusUnauthorized, rule
	refused.Member, _, _ = strings.Cut(rule, ".")
	return refused
}

// asRefusal returns the error that refuses, nil if err is none. A nil *dcr.Error that a
// hook or a store returns by mistake refuses nothing.
func asRefusal(err error) *dcr.Error {
	refused, _ := errors.AsType[*dcr.Error](err)
	return refused
}

// parseID checks the rules for a client id that need no network. It does not normalise
// the URL: two URLs are the same client only if all their bytes are the same.
func (s *settings) parseID(id string) (*url.URL, error) {
	if len(id) > maxID {
		return nil, refuse("client_id.length", "client_id must not be longer than %d bytes", maxID)
	}
	parsed, err := dcr.ParseURI(id)
	_, isAddress := netip.ParseAddr(parsed.Host)
	switch {
	case err != nil:
		return nil, refuse("client_id.form", "client_id %v", err)
	case !published(id):
		return nil, refuse("client_id.scheme", "client_id must begin with https://")
	case parsed.HasFragment:
		return nil, refuse("client_id.fragment", "client_id must not have a fragment")
	case parsed.HasQuery && !s.AllowQuery:
		return nil, refuse("client_id.query", "client_id must not have a query")
	case parsed.Path == "":
		return nil, refuse("client_id.path", "client_id must have a path")
	case parsed.Path == "/" && !s.AllowBareHost:
		return nil, refuse("client_id.path", "client_id must have a path other than /")
	case isAddress == nil:
		return nil, refuse("client_id.address", "client_id must have the name of a host, not an address")
	case parsed.Host == s.issuerHost:
		return nil, refuse("client_id.own_host", "client_id must not be on the host of this server")
	}
	u, err := url.Parse(id)
	if err != nil {
		return nil, refuse("client_id.form", "client_id must be a URL")
	}
	return u, nil
}

// Hosts returns a function for Options.Admit that admits only the URLs of these
// hosts, under Options.Validator: "claude.ai" for that host, "*.vscode.dev" for the
// hosts below it, "example.com/oauth/" for the URLs below that path,
// "example.com:8443" for that port; without a port, only 443. It panics on any
// other entry, such as one that is not ASCII.
func Hosts(hosts ...string) func(ctx context.Context, id *url.URL) (string, error) {
	list := make([]hostEntry, len(hosts))
	for i, entry := range hosts {
		list[i] = parseEntry(entry)
	}
	return func(_ context.Context, id *url.URL) (string, error) {
		if slices.ContainsFunc(list, func(entry hostEntry) bool { return entry.admits(id) }) {
			return "", nil
		}
		return "", refuse("client_id.host", "this server does not accept clients from the host of this client_id")
	}
}

// hostEntry is what one entry of Hosts admits.
type hostEntry struct {
	host  string // in lower case
	below bool   // the hosts below it, not itself
	port  string // "" for 443, also if the entry has it
	path  string // under which the URL is; "" for any
}

func parseEntry(entry string) hostEntry {
	rest, below := strings.CutPrefix(entry, "*.")
	parsed, err := dcr.ParseURI("https://" + rest) // before strings.ToLower, which makes ASCII of a few other letters
	rest = strings.ToLower(rest[:hostEnd(rest)]) + rest[hostEnd(rest):]
	_, isAddress := netip.ParseAddr(parsed.Host)
	whole := parsed.Host
	if parsed.Port != "" {
		whole += ":" + parsed.Port
	}
	if err == nil && (whole+parsed.Path != rest || parsed.HasQuery || parsed.HasFragment || isAddress == nil) {
		err = errors.New("must be a host, maybe with a port and a path")
	}
	if err == nil && parsed.Path != "" && !strings.HasSuffix(parsed.Path, "/") {
		err = errors.New("must have a slash at the end of its path, below which the URLs are")
	}
	if err != nil {
		panic(fmt.Sprintf("cimd: Hosts: %q %v; give it without https://, as example.com, *.example.com, example.com/oauth/ or example.com:8443, in ASCII", entry, err))
	}
	return hostEntry{host: parsed.Host, below: below, port: portOf(parsed.Port), path: parsed.Path}
}

// hostEnd returns where the host and the port of an entry end.
func hostEnd(entry string) int {
	if slash := strings.IndexByte(entry, '/'); slash >= 0 {
		return slash
	}
	return len(entry)
}

// portOf returns a port, "" for that of https.
func portOf(port string) string {
	if port == "443" {
		return ""
	}
	return port
}

func (e *hostEntry) admits(id *url.URL) bool {
	host, port := strings.ToLower(id.Hostname()), portOf(id.Port())
	if e.below && !strings.HasSuffix(host, "."+e.host) || !e.below && host != e.host {
		return false
	}
	if port != e.port {
		return false
	}
	path := id.EscapedPath()
	return e.path == "" || strings.HasPrefix(path, e.path) && !leavesFolder(path)
}

// leavesFolder reports whether some servers leave the folder that a path names, by an
// encoded slash or by parameters of a dot segment, which net/url keeps.
func leavesFolder(path string) bool {
	lower := strings.ReplaceAll(strings.ToLower(path), "%2e", ".")
	return strings.Contains(lower, "%2f") || strings.Contains(lower, "%5c") || strings.Contains(lower, "/.;") || strings.Contains(lower, "/..;")
}

// Any, for Options.Admit, admits every URL, under Options.Validator.
func Any(ctx context.Context, id *url.URL) (string, error) { return "", nil }

// admit asks the host whether documents are accepted, and which policy the client runs
// under.
func (s *settings) admit(ctx context.Context, id *url.URL) (policy string, err error) {
	if err := s.open(ctx); err != nil {
		return "", err
	}
	policy, err = s.Admit(ctx, id)
	if refused := asRefusal(err); refused != nil {
		own := *refused
		if own.Code == "" {
			own.Code = dcr.InvalidClient
		}
		if own.Code == dcr.InvalidClient && own.Status == 0 {
			own.Status = http.StatusUnauthorized
		}
		if own.Rule == "" {
			own.Rule = "client_id.admit"
		}
		return "", &own
	}
	if err != nil {
		return "", &outage{reason: "admit", busy: true, cause: fmt.Errorf("Options.Admit: %w", err)}
	}
	return policy, nil
}

// open returns an error while no documents are accepted.
func (s *settings) open(ctx context.Context) error {
	switch {
	case s.Admit == nil:
		return refuse("client_id.closed", "this server does not accept clients that publish their metadata")
	case s.Open != nil && !s.Open(ctx):
		return refuse("client_id.closed", "this server does not accept clients that publish their metadata at the moment")
	}
	return nil
}

// validator returns the validator of a policy.
func (s *settings) validator(policy string) (dcr.Validator, error) {
	if policy == "" {
		return s.Validator, nil
	}
	validator, known := s.Policies[policy]
	if !known {
		return nil, fmt.Errorf("cimd: Options.Admit names the policy %q, which Options.Policies does not have", policy)
	}
	return validator, nil
}

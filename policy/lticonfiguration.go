package policy

// The two configurations of LTI Dynamic Registration 1.0: that of a tool, in its
// registration (3.6.2), and that of a platform, in its discovery document (3.5.2).

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/uri"
)

// tool is a tool configuration, or a message in it, as it was sent. A member that
// is null is absent, and kept.
type tool map[string]json.RawMessage

func (t tool) has(name string) bool { return t[name] != nil && string(t[name]) != "null" }

// text returns a member that is a string, "" if there is none.
func (t tool) text(name string) string { return claims(t).text(name) }

// list returns a member that is a list of strings.
func (t tool) list(name string) (list []string, err error) {
	if t.has(name) && json.Unmarshal(t[name], &list) != nil {
		err = refuseTool("must have a JSON array of strings in %s", name)
	}
	return list, err
}

// refuseTool refuses a tool configuration.
func refuseTool(format string, args ...any) error {
	return refuse(LTIToolConfiguration, "lti", LTIToolConfiguration+" "+format, args...)
}

// judge checks a configuration against the specification, and its values
// against the limits.
func (t tool) judge(limits dcr.Limits) error {
	for name, raw := range t {
		var value any
		if json.Unmarshal(raw, &value) != nil || !readable(map[string]any{name: value}, limits.NameBytes, &limits) {
			return refuseTool("must have strings that people can read and that are not too long, and no list of more than %d entries", limits.ListItems)
		}
	}
	hosts, err := t.hosts()
	if err != nil {
		return err
	}
	if _, err := t.list("claims"); err != nil {
		return err
	}
	if err := t.judgeLaunch(hosts); err != nil {
		return err
	}
	var messages []tool
	if t.has("messages") && json.Unmarshal(t["messages"], &messages) != nil {
		return refuseTool("must have a JSON array of objects in messages")
	}
	for i, message := range messages {
		if message.text("type") == "" {
			return refuseTool("must have a type in messages[%d]", i)
		}
		for _, name := range []string{"placements", "roles"} {
			if _, err := message.list(name); err != nil {
				return err
			}
		}
		if err := message.judgeLaunch(hosts); err != nil {
			return err
		}
	}
	return nil
}

// hosts returns the hosts of the tool, in lower case.
func (t tool) hosts() ([]string, error) {
	hosts, err := t.list("secondary_domains")
	if err != nil {
		return nil, err
	}
	hosts = append(hosts, t.text("domain"))
	for i, domain := range hosts {
		hosts[i] = strings.ToLower(domain)
		if parsed, err := uri.Parse("https://" + domain); err != nil || hostAndPort(&parsed) != hosts[i] {
			return nil, refuseTool("must have a host without scheme and path, such as tool.example.org, in domain, and only such hosts in secondary_domains")
		}
	}
	return hosts, nil
}

func hostAndPort(u *uri.URI) string {
	if u.Port == "" {
		return u.Host
	}
	return u.Host + ":" + u.Port
}

// judgeLaunch judges what a configuration and a message have in common.
func (t tool) judgeLaunch(hosts []string) error {
	var parameters map[string]*string
	if t.has("custom_parameters") && json.Unmarshal(t["custom_parameters"], &parameters) != nil {
		return refuseTool("must have a JSON object of strings in custom_parameters")
	}
	for _, name := range slices.Sorted(maps.Keys(t)) {
		base, _, _ := strings.Cut(name, "#")
		isURI := strings.HasSuffix(base, "_uri")
		if !t.has(name) || !isURI && base != "label" && base != "description" || strings.Contains(name, ":") { // a vendor's
			continue
		}
		var text string
		if json.Unmarshal(t[name], &text) != nil {
			return refuseTool("must have a string in label, description and each member whose name ends in _uri")
		}
		parsed, err := uri.Parse(text)
		switch {
		case !isURI || text == "":
		case base == "target_link_uri" && (err != nil || !ofTool(&parsed, hosts)):
			return refuseTool("must have an https URL in target_link_uri, whose host is domain or one of secondary_domains")
		case err != nil || !parsed.Kind().IsWeb():
			return refuseTool("must have an http or https URL in each member whose name ends in _uri")
		}
	}
	return nil
}

// ofTool reports whether a URL is on one of a tool's hosts. If that host has no
// port, any port will do. A URL without one has the port 443.
func ofTool(u *uri.URI, hosts []string) bool {
	bare := func(host string) string { return strings.TrimPrefix(host, "www.") }
	withPort := u.Host + ":" + cmp.Or(u.Port, "443")
	return u.Kind() == uri.HTTPS && slices.ContainsFunc(hosts, func(own string) bool {
		return bare(own) == bare(u.Host) || bare(own) == bare(withPort)
	})
}

// readable reports whether people can read each string in a value, including
// the names of members, and whether strings and lists are within the limits.
func readable(value any, longest int, limits *dcr.Limits) bool {
	switch value := value.(type) {
	case string:
		unreadable := func(r rune) bool { return r < ' ' || r == 0x7F || !dcr.ReadableRune(r) }
		return len(value) <= longest && !strings.ContainsFunc(value, unreadable)
	case []any:
		return len(value) <= limits.ListItems && !slices.ContainsFunc(value, func(entry any) bool { return !readable(entry, longest, limits) })
	case map[string]any:
		for name, member := range value {
			bound := limits.NameBytes
			if strings.HasSuffix(name, "_uri") {
				bound = limits.URIBytes
			}
			if !readable(name, limits.NameBytes, limits) || !readable(member, bound, limits) {
				return false
			}
		}
	}
	return true
}

// LTIMessage is a message that a platform sends to tools, such as
// LtiDeepLinkingRequest.
type LTIMessage struct {
	Type       string   `json:"type"`
	Placements []string `json:"placements,omitempty"` // where tools may have it; if empty, the platform does not say
}

// LTIConfiguration is the configuration of a platform (3.5.2).
type LTIConfiguration struct {
	ProductFamilyCode string       `json:"product_family_code"` // such as moodle; required
	Version           string       `json:"version"`             // of the product
	Messages          []LTIMessage `json:"messages_supported"`  // required
	Variables         []string     `json:"variables"`           // the custom parameters that the platform fills in; if nil, none
}

// LTIDiscovery returns the members of a platform's openid-configuration (3.5): the
// given ones, and its configuration. Pass them to [dcr.Handler.ServeDiscovery],
// which adds those that the handler knows, such as registration_endpoint. Tools
// require the document to be on the host of the issuer.
//
// It panics if configuration lacks a required field, or members lacks
// authorization_endpoint, token_endpoint or jwks_uri.
func LTIDiscovery(configuration LTIConfiguration, members map[string]any) map[string]any {
	for _, name := range []string{"authorization_endpoint", "token_endpoint", "jwks_uri"} {
		if members[name] == nil {
			panic("policy: LTIDiscovery: members lack " + name)
		}
	}
	if configuration.ProductFamilyCode == "" || len(configuration.Messages) == 0 {
		panic("policy: LTIDiscovery: the configuration lacks ProductFamilyCode or Messages")
	}
	if configuration.Variables == nil {
		configuration.Variables = []string{}
	}
	document := maps.Clone(members)
	document["https://purl.imsglobal.org/spec/lti-platform-configuration"] = configuration
	return document
}

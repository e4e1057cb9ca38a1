package cimd

// OAuth Client ID Metadata Document §4: what a document must be, and the client that
// is made from it.

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/jose"
	"github.com/dynreg/dcr/internal/strictjson"
)

// Judge makes a client from a document, without a store or the network, for servers
// that fetch documents themselves. The document is judged under Options.Validator.
// Options.Admit is not called, and without Options.Issuer no host counts as this
// server's. In the client's Document, SHA256 and AuthMethods are set; the caller
// sets when it was fetched. An [*dcr.Error] of InvalidClient refuses, with the rule
// and the member; any other error is a fault of the server. Only a validator that
// supports pairwise subjects may fetch something: the document at
// sector_identifier_uri.
func Judge(ctx context.Context, id string, document []byte, opts *Options) (*dcr.Client, error) {
	s := opts.withDefaults()
	if _, err := s.parseID(id); err != nil {
		return nil, err
	}
	return s.judge(ctx, id, "", document, nil)
}

const (
	methodMember  = "token_endpoint_auth_method"
	methodsMember = "token_endpoint_auth_methods_supported"
)

// judge makes a client from a document; previous is the client as it was before, if it
// is known. The document is judged like a registration or an update, except that no
// answer tells the publisher what was settled.
func (s *settings) judge(ctx context.Context, id, policy string, document []byte, previous *dcr.Client) (*dcr.Client, error) {
	request, err := s.read(id, document)
	if err != nil {
		return nil, err
	}
	validator, err := s.validator(policy)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	client := dcr.StartingClient(validator, previous)
	client.ID, client.Source, client.Policy = id, dcr.SourceDocument, policy
	if previous == nil {
		client.CreatedAt, client.UpdatedAt = now, now
	}
	reg := &dcr.Registration{Request: request, Client: client, Previous: previous, ExactDefaults: true, Limits: s.Limits, Clock: s.Now}
	if err := dcr.Validate(ctx, validator, reg); err != nil {
		return nil, asRefused(err)
	}
	if reg.Client.ID != id || reg.Client.Source != dcr.SourceDocument {
		return nil, errors.New("cimd: a step of the validator replaced the client, its id or its source")
	}
	if err := s.checkClient(reg.Client); err != nil {
		return nil, err
	}
	dropForeignPages(reg.Client)
	reg.Client.Document = recordOf(document, previous)
	reg.Client.Document.AuthMethods = authMethods(reg)
	return reg.Client, nil
}

// recordOf returns the record of a document. If its octets are those of the previous
// client's, it keeps what a newer version noted about them.
func recordOf(document []byte, previous *dcr.Client) *dcr.DocumentRecord {
	digest, record := sha256.Sum256(document), new(dcr.DocumentRecord)
	sum := base64.RawURLEncoding.EncodeToString(digest[:])
	if previous != nil && previous.Document != nil && previous.Document.SHA256 == sum {
		record = previous.Document.Clone()
	}
	record.SHA256, record.Withdrawn = sum, time.Time{}
	return record
}

// read parses a document and checks what does not depend on a validator.
func (s *settings) read(id string, document []byte) (*dcr.Request, error) {
	limit := int64(maxDocument)
	if s.Fetch != nil && s.Fetch.MaxBytes > 0 {
		limit = s.Fetch.MaxBytes
	}
	if int64(len(document)) > limit {
		return nil, refuse("document.size", "the metadata document must not be larger than %d bytes", limit)
	}
	request, err := dcr.ParseRequest(document, s.Limits)
	if err != nil {
		return nil, asRefused(err)
	}
	if err := checkNames(string(document), ""); err != nil {
		return nil, err
	}
	if token, err := jose.Parse(request.SoftwareStatement); err == nil {
		if err := checkNames(token.Unverified(), "the software statement in "); err != nil {
			return nil, err
		}
		if err := checkOwner(token.Unverified(), id); err != nil {
			return nil, err
		}
	}
	if request.ClientID != id {
		return nil, refuse("client_id.mismatch", "client_id in the metadata document must be the URL of the document")
	}
	for _, method := range append(slices.Clone(request.Choices[methodsMember]), request.TokenEndpointAuthMethod) {
		if sharesSecret(method) {
			return nil, refuse(methodMember+".secret", "the metadata document must not name a method that needs a shared secret, such as %s: nobody could give it to the client", sharedMethod(method))
		}
	}
	return request, nil
}

// sharesSecret reports whether a method needs a shared secret.
func sharesSecret(method string) bool { return strings.HasPrefix(method, "client_secret_") }

// sharedMethod returns the name of a method for an error, which must not repeat what
// was sent.
func sharedMethod(method string) string {
	for _, known := range []string{"client_secret_post", "client_secret_jwt"} {
		if method == known {
			return known
		}
	}
	return "client_secret_basic"
}

// checkNames refuses members that only the answer to a registration has, whatever their
// values are. It does not refuse what is not a JSON object: others do.
func checkNames(object, where string) error {
	refused := (*dcr.Error)(nil)
	strictjson.ReadObject(object, strictjson.Limits{Members: 1 << 20, Depth: 1 << 10}, func(name string, _ strictjson.Value) error {
		switch {
		case refused != nil:
		case name == "client_secret" || name == "client_secret_expires_at":
			refused = refuse(name+".published", "%sthe metadata document must not have %s", where, name)
		case strings.HasPrefix(name, "registration_"):
			refused = refuse("registration.published", "%sthe metadata document must not have a member whose name begins with registration_", where)
		}
		return nil
	})
	if refused == nil {
		return nil
	}
	return refused
}

// checkOwner refuses the claims of a software statement that say that it is for another
// client: a statement in a document is public, so that anybody can copy it.
func checkOwner(claims, id string) error {
	refused := (*dcr.Error)(nil)
	strictjson.ReadObject(claims, strictjson.Limits{Members: 1 << 20, Depth: 1 << 10}, func(name string, value strictjson.Value) error {
		if name != "client_id" || value.Kind() == strictjson.Null {
			return nil
		}
		if owner, err := value.Text(); err != nil || owner != id {
			refused = refuse("client_id.statement", "client_id in the software statement in the metadata document must be the URL of the document")
		}
		return nil
	})
	if refused == nil {
		return nil
	}
	return refused
}

// asRefused turns a refusal of Validate into the refusal of a document. An outage is
// not a refusal.
func asRefused(err error) error {
	refused := asRefusal(err)
	if refused == nil {
		return err
	}
	if !refused.Refuses() {
		return &outage{reason: "judging", cause: err}
	}
	own := refuse(refused.Rule, "%s", refused.Description)
	own.Member, own.Err = refused.Member, err
	return own
}

// checkClient refuses a client that would need an answer, such as one with a secret,
// and members that strangers may not have.
func (s *settings) checkClient(c *dcr.Client) error {
	switch {
	case c.NeedsSecret():
		return refuse(methodMember+".secret", "the metadata document must not have members that need a shared secret, such as a symmetric algorithm")
	case slices.Contains(c.GrantTypes, "client_credentials") && c.TokenEndpointAuthMethod != "private_key_jwt":
		return refuse("grant_types.client_credentials", "grant_types may have client_credentials only with token_endpoint_auth_method private_key_jwt")
	case s.AllowCallbacks || c.Policy != "":
		return nil
	}
	for _, member := range []struct {
		name string
		set  bool
	}{
		{"backchannel_logout_uri", c.BackchannelLogoutURI != ""},
		{"backchannel_client_notification_endpoint", c.BackchannelClientNotificationEndpoint != ""},
		{"request_uris", len(c.RequestURIs) > 0},
	} {
		if member.set {
			return refuse(member.name+".callback", "%s must not be in a metadata document: this server sends no requests to clients that publish one", member.name)
		}
	}
	return nil
}

// dropForeignPages removes client_uri, in every language, if it is on another host than
// the document, which vouches only for its own host.
func dropForeignPages(c *dcr.Client) {
	document, _ := dcr.ParseURI(c.ID)
	foreign := func(page string) bool {
		parsed, err := dcr.ParseURI(page)
		return err != nil || parsed.Host != document.Host
	}
	if c.ClientURI != "" && foreign(c.ClientURI) {
		c.ClientURI = ""
	}
	maps.DeleteFunc(c.Localized, func(name, page string) bool {
		return strings.HasPrefix(name, "client_uri#") && foreign(page)
	})
}

// authMethods returns the methods by which the client may authenticate: the settled one
// and, since no answer tells the client which one that is, every other one that the
// document or its software statement lists and the server supports. It leaves out none
// if something that the client has needs authentication, and methods for which there are
// no keys.
func authMethods(reg *dcr.Registration) []string {
	c := reg.Client
	methods := []string{c.TokenEndpointAuthMethod}
	for _, method := range reg.Choices(methodsMember) {
		if !slices.Contains(methods, method) && slices.Contains(reg.Capabilities.TokenEndpointAuthMethods, method) && mayUse(c, method) {
			methods = append(methods, method)
		}
	}
	return methods
}

func mayUse(c *dcr.Client, method string) bool {
	switch method {
	case "none":
		return !c.NeedsCredentials()
	case "private_key_jwt", "self_signed_tls_client_auth":
		return c.JWKS != nil || c.JWKSURI != ""
	}
	return method != "tls_client_auth" && !sharesSecret(method) // the name of a certificate is kept only if this is the settled method
}

// changedMembers names the members in which two clients differ, in their order.
func changedMembers(before, after *dcr.Client) ([]string, error) {
	old, err := membersOf(before)
	if err != nil {
		return nil, err
	}
	fresh, err := membersOf(after)
	if err != nil {
		return nil, err
	}
	var changed []string
	for name, value := range fresh {
		if old[name] != value {
			changed = append(changed, name)
		}
	}
	for name := range old {
		if _, kept := fresh[name]; !kept {
			changed = append(changed, name)
		}
	}
	slices.Sort(changed)
	return changed, nil
}

// membersOf returns the JSON of each member, the methods that the client may use
// among them.
func membersOf(c *dcr.Client) (map[string]string, error) {
	text, err := c.Metadata.MarshalJSON()
	if err != nil {
		return nil, err
	}
	members := make(map[string]string)
	err = strictjson.ReadObject(text, strictjson.Limits{Members: 1 << 20, Depth: 1 << 10}, func(name string, value strictjson.Value) error {
		members[name] = string(value)
		return nil
	})
	if c.Document != nil && len(c.Document.AuthMethods) > 1 {
		members[methodsMember] = fmt.Sprint(c.Document.AuthMethods)
	}
	return members, err
}

// sameRow reports whether two clients have the same stored form, except for what is
// noted about their document.
func sameRow(before, after *dcr.Client) bool {
	text := func(c *dcr.Client) string {
		own := *c
		own.Document, own.ExpiresAt, own.UpdatedAt = nil, c.CreatedAt, c.CreatedAt
		stored, err := own.MarshalJSON()
		if err != nil {
			return err.Error()
		}
		return string(stored)
	}
	methods := func(c *dcr.Client) []string {
		if c.Document == nil {
			return nil
		}
		return c.Document.AuthMethods
	}
	return text(before) == text(after) && slices.Equal(methods(before), methods(after))
}

package admin

// The page of one client, which shows everything but its secrets.

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/dynreg/dcr"
)

// clientPage is the data of the page of a client.
type clientPage struct {
	summary
	Seen        string // how the client was when it was shown; see seenAs
	NeedsSecret bool
	IsDocument  bool
	Credentials []string
	Metadata    []member
	Settings    []member
}

// member is a name and a value.
type member struct{ Name, Value string }

func (p *pages) showClient(r *http.Request) (view, error) {
	page, err := p.clientPage(r)
	return view{template: "client", data: page}, err
}

func (p *pages) clientPage(r *http.Request) (*clientPage, error) {
	client, err := dcr.FindStored(r.Context(), p.admin.Store, r.Form.Get("id"))
	if err != nil {
		return nil, err
	}
	metadata, err := metadataOf(client)
	if err != nil {
		return nil, err
	}
	return &clientPage{
		summary: p.summarize(client), Seen: seenAs(client), NeedsSecret: client.NeedsSecret(), IsDocument: client.Source == dcr.SourceDocument,
		Credentials: credentialsOf(client), Metadata: metadata, Settings: settingsOf(client),
	}, nil
}

// seenAs identifies the state of a client that a page showed: its Revision, and when it
// was first used, which does not change the Revision.
func seenAs(client *dcr.Client) string {
	return fmt.Sprintf("%d.%d", client.Revision, client.ActivatedAt.UnixMicro())
}

// metadataOf returns the client's effective metadata, as they are on the wire.
func metadataOf(client *dcr.Client) (members []member, err error) {
	text, err := json.Marshal(client.Metadata)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.Token() // the brace
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		var plain string
		if json.Unmarshal(value, &plain) != nil {
			plain = string(value)
		}
		members = append(members, member{name.(string), plain})
	}
	return members, nil
}

// apart are the fields of a client that are not settings: the page shows them
// elsewhere, and does not show secrets.
var apart = []string{
	"client_id", "secrets", "registration_tokens", "status", "source", "policy", "registered_by", "notes", "statement", "created_at",
	"updated_at", "activated_at", "last_used_at", "expires_at", "registered_from", "activated_by", "document",
}

// settingsOf returns the client's settings that the server owns, by their stored names.
func settingsOf(client *dcr.Client) (settings []member) {
	value := reflect.ValueOf(client).Elem()
	for i := range value.NumField() {
		name, _, _ := strings.Cut(value.Type().Field(i).Tag.Get("json"), ",")
		switch {
		case name == "" || name == "-" || slices.Contains(apart, name):
		case name == "allowed_cors_origins" && len(client.AllowedCORSOrigins) == 0: // for this setting, no list means none
			settings = append(settings, member{name, "none"})
		default:
			settings = append(settings, member{name, said(value.Field(i).Interface())})
		}
	}
	return settings
}

// said returns a setting in words.
func said(value any) string {
	switch value := value.(type) {
	case bool:
		if value {
			return "yes"
		}
		return "no"
	case time.Duration:
		if value == 0 {
			return "unlimited"
		}
		return value.String()
	case []string:
		if value == nil {
			return "any"
		}
		return strings.Join(value, ", ")
	}
	return fmt.Sprint(value)
}

// credentialsOf describes the client's credentials without their values.
func credentialsOf(client *dcr.Client) (names []string) {
	name := func(what string, secrets []dcr.Secret) {
		for _, secret := range secrets {
			ends := "without an end"
			if !secret.ExpiresAt.IsZero() {
				ends = "until " + moment(secret.ExpiresAt)
			}
			names = append(names, what+" ("+secret.Type+"), "+ends)
		}
	}
	name("client secret", client.Secrets)
	name("registration access token", client.RegistrationTokens)
	return names
}

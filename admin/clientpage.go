package admin

// The page of one client: all that is known of it but its secrets.

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dynreg/dcr"
)

// clientPage is all that the page of a client says.
type clientPage struct {
	summary
	Seen        string // what an action on it must still find; see seenAs
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
	client, err := p.admin.Store.FindByClientID(r.Context(), r.Form.Get("id"))
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

// seenAs is what the client was like when a page showed it: its version, and when it
// was first used, which makes no new version.
func seenAs(client *dcr.Client) string {
	return fmt.Sprintf("%d.%d", client.Revision, client.ActivatedAt.UnixMicro())
}

// metadataOf are the client's effective metadata, as they are on the wire.
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

// apart are the fields of a client that are no settings: they have a place of their
// own on the page, and secrets have none.
var apart = []string{
	"client_id", "secrets", "registration_tokens", "status", "source", "policy", "registered_by", "notes", "statement", "created_at",
	"updated_at", "activated_at", "last_used_at", "expires_at", "registered_from", "activated_by", "document",
}

// settingsOf are the client's settings that the server owns, by their stored names.
func settingsOf(client *dcr.Client) (settings []member) {
	value := reflect.ValueOf(client).Elem()
	for i := range value.NumField() {
		name, _, _ := strings.Cut(value.Type().Field(i).Tag.Get("json"), ",")
		if name != "" && name != "-" && !slices.Contains(apart, name) {
			settings = append(settings, member{name, said(value.Field(i).Interface())})
		}
	}
	return settings
}

// said is a setting in words.
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

// credentialsOf names the client's credentials, and nothing of what they are.
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

// revision is that of the client which the form of a request was shown with.
func revision(r *http.Request) (int64, error) {
	text, _, _ := strings.Cut(r.Form.Get("seen"), ".")
	revision, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fault{status: http.StatusBadRequest, sentence: "The form does not say what was seen. Nothing was done."}
	}
	return revision, nil
}

func (p *pages) approve(r *http.Request) (view, error) {
	revision, err := revision(r)
	if err == nil {
		err = p.admin.Approve(r.Context(), r.Form.Get("id"), revision)
	}
	return view{location: linkTo(r.Form.Get("id"))}, err
}

func (p *pages) deny(r *http.Request) (view, error) {
	page, err := p.clientPage(r)
	if err != nil {
		return view{}, err
	}
	revision, err := revision(r)
	if err == nil {
		err = p.admin.Deny(r.Context(), page.Client.ID, revision)
	}
	if page.IsDocument {
		return view{location: page.Link}, err
	}
	return view{template: "gone", data: page}, err
}

// Whatever a client was changed to meanwhile, it is switched off.
func (p *pages) disable(r *http.Request) (view, error) {
	return view{location: linkTo(r.Form.Get("id"))}, p.admin.Disable(r.Context(), r.Form.Get("id"))
}

func (p *pages) enable(r *http.Request) (view, error) {
	return view{location: linkTo(r.Form.Get("id"))}, p.admin.Enable(r.Context(), r.Form.Get("id"))
}

func (p *pages) confirmDelete(r *http.Request) (view, error) { return p.confirm(r, "delete") }

func (p *pages) confirmRotate(r *http.Request) (view, error) { return p.confirm(r, "rotate") }

// confirm shows what is about to be changed.
func (p *pages) confirm(r *http.Request, template string) (view, error) {
	if p.opts.ReadOnly {
		return view{}, fault{status: http.StatusForbidden, sentence: "These pages are for reading only."}
	}
	page, err := p.clientPage(r)
	if err == nil && template == "rotate" && !page.NeedsSecret {
		err = errNoSecret
	}
	return view{template: template, data: page}, err
}

var errNoSecret = fault{status: http.StatusConflict, sentence: "The client has no use for a secret."}

// confirmed returns the client of the request, if it is still as it was shown.
func (p *pages) confirmed(r *http.Request) (*clientPage, error) {
	page, err := p.clientPage(r)
	if err == nil && page.Seen != r.Form.Get("seen") {
		err = dcr.ErrConflict
	}
	return page, err
}

func (p *pages) delete(r *http.Request) (view, error) {
	page, err := p.confirmed(r)
	if err == nil {
		err = p.admin.remove(r.Context(), page.Client, "")
	}
	return view{template: "gone", data: page}, err
}

// graces are how long an old secret may be valid, as the form names it.
var graces = map[string]time.Duration{"": 0, "hour": time.Hour, "day": 24 * time.Hour, "week": 7 * 24 * time.Hour}

func (p *pages) rotate(r *http.Request) (view, error) {
	page, err := p.confirmed(r)
	if err != nil {
		return view{}, err
	}
	grace, known := graces[r.Form.Get("grace")]
	switch {
	case !known:
		return view{}, fault{status: http.StatusBadRequest, sentence: "The old secret may stay valid for an hour, a day, a week, or not at all."}
	case !page.NeedsSecret:
		return view{}, errNoSecret
	}
	secret, err := p.admin.rotate(r.Context(), page.Client, grace)
	if err != nil {
		return view{}, err
	}
	return view{template: "secret", data: issued{Kind: "client secret", Secret: secret.Reveal(), Back: page.Link, About: page.Client.ID}}, nil
}

// issued is a secret that is shown once.
type issued struct{ Kind, Secret, Back, About string }

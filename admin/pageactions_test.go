package admin_test

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/admin"
)

func TestActionsOfPages(t *testing.T) {
	pending := func(c *dcr.Client) { c.Status = dcr.StatusPending }
	document := func(c *dcr.Client) {
		c.ID, c.Source, c.Status = "https://a.example/client?x=1&y=../2", dcr.SourceDocument, dcr.StatusPending
	}
	public := func(c *dcr.Client) { c.TokenEndpointAuthMethod, c.Secrets = "none", nil }
	update := func(d *desk) {
		client, _ := d.store.FindByClientID(d.t.Context(), d.client.ID)
		client.ClientName = "Another"
		d.store.Update(d.t.Context(), client)
	}
	use := func(d *desk) { d.store.TouchClient(d.t.Context(), d.client.ID, noon) }
	for _, c := range []struct {
		sentence  string
		client    func(*dcr.Client)
		action    string
		meanwhile func(*desk)
		more      []string
		status    int
		says      string
		becomes   dcr.Status
		tells     dcr.EventKind
		deletes   bool
	}{
		{"a client is approved as it was seen", pending, "approve", nil, nil, 200, ">active<", dcr.StatusActive, dcr.ClientApproved, false},
		{"and not after it has changed", pending, "approve", update, nil, 409, "has changed", dcr.StatusPending, "", false},
		{"a client is denied as it was seen", pending, "deny", nil, nil, 200, "is gone", "gone", dcr.ClientDeleted, true},
		{"and not after it has changed", pending, "deny", update, nil, 409, "has changed", dcr.StatusPending, "", false},
		{"a document is denied and kept", document, "deny", nil, nil, 200, ">disabled<", dcr.StatusDisabled, dcr.ClientDisabled, false},
		{"a client that is not pending is not denied", nil, "deny", nil, nil, 409, "does not wait", dcr.StatusActive, "", false},
		{"a client is disabled even if it has changed", nil, "disable", update, nil, 200, ">disabled<", dcr.StatusDisabled, dcr.ClientDisabled, false},
		{"a pending client is not disabled", pending, "disable", nil, nil, 409, "approve or deny", dcr.StatusPending, "", false},
		{"a disabled client is enabled", has(dcr.StatusDisabled), "enable", nil, nil, 200, ">active<", dcr.StatusActive, dcr.ClientEnabled, false},
		{"a client is deleted", nil, "delete", nil, nil, 200, "is gone", "gone", dcr.ClientDeleted, true},
		{"a changed client is not deleted", nil, "delete", update, nil, 409, "has changed", dcr.StatusActive, "", false},
		{"one that was used for the first time in the meantime is not deleted", nil, "delete", use, nil, 409, "has changed", dcr.StatusActive, "", false},
		{"a secret is rotated", nil, "rotate", nil, []string{"grace", "hour"}, 200, "shown this once", dcr.StatusActive, dcr.CredentialsRotated, false},
		{"a changed client gets no secret", nil, "rotate", update, nil, 409, "has changed", dcr.StatusActive, "", false},
		{"a public client gets no secret", public, "rotate", nil, nil, 409, "no use for a secret", dcr.StatusActive, "", false},
		{"the form offers only some lifetimes for an old secret", nil, "rotate", nil, []string{"grace", "year"}, 400, "a week", dcr.StatusActive, "", false},
		{"without the revision that was seen, nothing is approved", pending, "approve", nil, []string{"seen", ""}, 400, "what was seen", dcr.StatusPending, "", false},
		{"and nothing is denied", pending, "deny", nil, []string{"seen", ""}, 400, "what was seen", dcr.StatusPending, "", false},
		{"and nothing is deleted", nil, "delete", nil, []string{"seen", ""}, 409, "has changed", dcr.StatusActive, "", false},
		{"a client that is gone is not found", nil, "disable", nil, []string{"id", "gone"}, 404, "no such client", dcr.StatusActive, "", false},
		{"an invalid id is not found", nil, "delete", nil, []string{"id", "\xff"}, 404, "no such client", dcr.StatusActive, "", false},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			for _, readOnly := range []bool{false, true} {
				d := newDesk(t, c.client, func(opts *admin.PageOptions) { opts.ReadOnly = readOnly })
				form := url.Values{"id": {d.client.ID}, "seen": {fmt.Sprintf("%d.%d", d.client.Revision, d.client.ActivatedAt.UnixMicro())}}
				if !readOnly && c.client == nil {
					form = d.form()
				}
				for i := 0; i < len(c.more); i += 2 {
					form.Set(c.more[i], c.more[i+1])
				}
				if c.meanwhile != nil {
					c.meanwhile(d)
				}
				status, page := d.post(c.action, form)
				want, says, becomes, tells := c.status, c.says, c.becomes, c.tells
				if readOnly {
					want, says, becomes, tells = 403, "for reading only", d.client.Status, ""
				}
				if status != want || !strings.Contains(page, says) {
					t.Errorf("status %d, want %d and %q:\n%s", status, want, says, page)
				}
				if again := strings.Contains(page, "Look at it again"); again != (want == 409) {
					t.Errorf("it leads back to the client: %t:\n%s", again, page)
				}
				if got := d.status(t); got != becomes {
					t.Errorf("the client becomes %q", got)
				}
				told := d.told.take()
				if tells == "" && len(told) > 0 || tells != "" && (len(told) != 1 || told[0].Kind != tells || told[0].Operator != "olga") {
					t.Errorf("told: %+v", told)
				}
				if deletes := len(d.deleted) > 0; deletes != (c.deletes && !readOnly) {
					t.Errorf("AfterDelete was called for %q", d.deleted)
				}
			}
		})
	}
}

// A new secret is shown once, and works.
func TestRotationShowsTheSecretOnce(t *testing.T) {
	d := newDesk(t, nil, nil)
	_, list := d.get("")
	confirm := d.follow(d.follow(list, "(no name)"), "New secret")
	page := d.press(confirm, "Make a new secret")
	secret := regexp.MustCompile(`class="secret"><code dir="ltr">(.*?)</code>`).FindStringSubmatch(page)
	client, err := d.store.FindByClientID(t.Context(), d.client.ID)
	if err != nil || secret == nil || !client.VerifySecret(secret[1], noon) {
		t.Fatalf("error %v, shown: %s", err, page)
	}
	for _, page := range []string{"", "client?id=calc", "delete?id=calc", "rotate?id=calc"} {
		if _, text := d.get(page); strings.Contains(text, secret[1]) || strings.Contains(text, client.Secrets[0].Value) {
			t.Errorf("%q has the secret or its hash", page)
		}
	}
}

func TestDeletionIsConfirmed(t *testing.T) {
	d := newDesk(t, func(c *dcr.Client) { c.ClientName = "Calculator" }, nil)
	_, list := d.get("")
	confirm := d.follow(d.follow(list, "Calculator"), "Delete")
	if d.status(t) != dcr.StatusActive || !strings.Contains(confirm, "cannot be brought back") {
		t.Fatalf("there is no confirmation:\n%s", confirm)
	}
	if kept := d.follow(confirm, "Keep it"); !strings.Contains(kept, "Calculator") {
		t.Errorf("it leads elsewhere:\n%s", kept)
	}
	d.press(confirm, "Delete it")
	if d.status(t) != "gone" {
		t.Error("the client still exists")
	}
	if status, _ := d.post("delete", url.Values{"id": {"calc"}, "seen": {"1.0"}}); status != 404 {
		t.Errorf("once more: status %d", status)
	}
}

func TestWhatFollowsADeletionMayFail(t *testing.T) {
	d := newDesk(t, nil, nil)
	d.AfterDelete = func(context.Context, *dcr.Client) error {
		return fmt.Errorf("grants are out of reach: %w", dcr.ErrClientNotFound)
	}
	status, page := d.post("delete", d.form())
	if status != 500 || !strings.Contains(page, "is deleted, but") || strings.Contains(page, "out of reach") || d.status(t) != "gone" {
		t.Errorf("status %d:\n%s", status, page)
	}
}

// TestADeletionIsFollowed checks that AfterDelete runs to its end if the operator
// has gone away, and that its panic is answered.
func TestADeletionIsFollowed(t *testing.T) {
	d := newDesk(t, nil, nil)
	gone, leave := context.WithCancel(t.Context())
	d.AfterDelete = func(ctx context.Context, _ *dcr.Client) error {
		leave()
		if _, bounded := ctx.Deadline(); !bounded || ctx.Err() != nil {
			t.Errorf("the context is bounded: %v, and over: %v", bounded, ctx.Err())
		}
		return nil
	}
	if err := d.Delete(gone, d.client.ID); err != nil || gone.Err() == nil {
		t.Error(err)
	}
	d = newDesk(t, nil, nil)
	d.AfterDelete = func(context.Context, *dcr.Client) error { panic("grants are out of reach") }
	status, page := d.post("delete", d.form())
	if status != 500 || !strings.Contains(page, "is deleted, but") || strings.Contains(page, "out of reach") || d.status(t) != "gone" {
		t.Errorf("status %d:\n%s", status, page)
	}
}

func TestDocumentsAreDenied(t *testing.T) {
	d := newDesk(t, nil, nil)
	const document = "https://evil.example/client.json"
	if status, page := d.post("denied", url.Values{"url": {" " + document + " "}}); status != 200 || !strings.Contains(page, ">disabled<") {
		t.Errorf("status %d:\n%s", status, page)
	}
	if told := d.told.take(); len(told) != 1 || told[0].ClientID != document || told[0].Reason != "denied" || told[0].Operator != "olga" {
		t.Errorf("told: %+v", told)
	}
	_, list := d.get("denied")
	d.press(d.follow(list, document), "Enable")
	if _, list := d.get("denied"); !strings.Contains(list, "There are none.") {
		t.Errorf("it is still denied:\n%s", list)
	}
	if status, _ := d.post("denied", url.Values{"url": {"https://calc/"}}); status != 200 {
		t.Errorf("status %d", status)
	}
}

func TestTokensOfPages(t *testing.T) {
	d := newDesk(t, nil, nil)
	status, page := d.post("tokens", url.Values{"subject": {"ci"}, "notes": {"for <tests>"}, "uses": {"3"}, "days": {"2"}})
	secret := regexp.MustCompile(`dcr_iat_[\w-]+`).FindString(page)
	if status != 200 || secret == "" {
		t.Fatalf("status %d:\n%s", status, page)
	}
	hash := dcr.HashSecret(dcr.Plaintext(secret)).Value
	token, err := d.store.FindInitialAccessToken(t.Context(), hash)
	if err != nil || token.Subject != "ci" || token.Notes != "for <tests>" || token.MaxUses != 3 || !token.ExpiresAt.Equal(noon.AddDate(0, 0, 2)) {
		t.Errorf("%+v, error %v", token, err)
	}
	list := d.follow(page, "Done")
	for _, says := range []string{"for &lt;tests&gt;", "0 of 3", "2026-05-06 12:00 UTC", ">valid<"} {
		if !strings.Contains(list, says) {
			t.Errorf("the list does not say %q:\n%s", says, list)
		}
	}
	if strings.Contains(list, secret) {
		t.Error("the list has the token")
	}
	if list = d.press(list, "Revoke"); !strings.Contains(list, "There are none.") {
		t.Errorf("it is still there:\n%s", list)
	}
}

func TestPagesForReadingHideWhatChanges(t *testing.T) {
	d := newDesk(t, nil, func(opts *admin.PageOptions) { opts.ReadOnly = true })
	if err := d.store.AddInitialAccessToken(t.Context(), &dcr.InitialAccessToken{Hash: "h"}); err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{"", "client?id=calc", "waiting", "denied", "tokens"} {
		status, text := d.get(page)
		if status != 200 || strings.Contains(text, `method="post"`) || strings.Contains(text, "delete?") || !strings.Contains(text, "for reading only") {
			t.Errorf("%q: status %d:\n%s", page, status, text)
		}
	}
	for _, page := range []string{"delete?id=calc", "rotate?id=calc"} {
		if status, _ := d.get(page); status != 403 {
			t.Errorf("%q: status %d", page, status)
		}
	}
}

package spec_test

// What the host can switch at run time, and what it can check before a body is
// read.

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

func TestOpen(t *testing.T) {
	for _, status := range []int{0, 403, 404} {
		open, asked := true, false
		h := newHandler(t, memstore.New(), dcr.Options{
			AllowAnonymous: true, ClosedStatus: status, RotateRegistrationToken: true,
			Open:   func(context.Context) bool { return open },
			Caller: func(*http.Request) (*dcr.Caller, error) { asked = true; return nil, nil },
		})
		want := max(status, 403)
		if status == 404 {
			want = 404
		}
		r := registerWith(t, h, decode(t, plainBody))
		open, asked = false, false
		answered(t, ask(t, h, "POST", registerURL, "a-token", "no JSON"), want, dcr.AccessDenied)
		guard := dcr.Require(func(*http.Request) (*dcr.Caller, error) { asked = true; return nil, nil })
		answered(t, ask(t, guard(h), "POST", registerURL, "", plainBody), want, dcr.AccessDenied)
		if asked {
			t.Error("the caller is checked while registration is closed")
		}
		if _, told := h.Discovery(t.Context())["registration_endpoint"]; told {
			t.Error("discovery names the endpoint while registration is closed")
		}
		r.update(t, decode(t, plainBody), 200, "")
		answered(t, ask(t, h, "POST", registerURL+"?client_id=a", "", plainBody), 405, dcr.InvalidRequest)
		open = true
		if h.Discovery(t.Context())["registration_endpoint"] != endpoint {
			t.Error("discovery does not name the endpoint once registration is open again")
		}
		answered(t, ask(t, h, "POST", registerURL, "", plainBody), 201, "")
	}
}

// unreadBody fails the test if it is read.
type unreadBody struct {
	io.Reader
	t *testing.T
}

func (u unreadBody) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func TestAdmit(t *testing.T) {
	var answer error
	asked := 0
	caller := &dcr.Caller{Subject: "ann"}
	h := newHandler(t, memstore.New(), dcr.Options{
		Caller: func(r *http.Request) (*dcr.Caller, error) {
			if r.Header.Get("Authorization") == "" {
				return nil, nil
			}
			return caller, nil
		},
		Admit: func(r *http.Request, who *dcr.Caller) error {
			if asked++; who != caller || dcr.CallerFromContext(r.Context()) != caller {
				t.Errorf("asked about %+v", who)
			}
			return answer
		},
	})
	refused := dcr.Errorf(dcr.TemporarilyUnavailable, "too many")
	refused.Status, refused.RetryAfter = 429, 90*time.Second
	for _, c := range []struct {
		answer error
		status int
		code   dcr.Code
	}{{refused, 429, dcr.TemporarilyUnavailable}, {errors.New("out of order"), 500, dcr.ServerError}} {
		answer = c.answer
		request := httptest.NewRequest("POST", registerURL, unreadBody{t: t})
		a := exchange(t, h, dress(request, "application/json", "token"))
		answered(t, a, c.status, c.code)
		if c.status == 429 && a.header.Get("Retry-After") != "90" {
			t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
		}
	}
	answer = nil
	a := answered(t, ask(t, h, "POST", registerURL, "token", plainBody), 201, "")
	path := registerURL + "?client_id=" + a["client_id"].(string)
	answered(t, ask(t, h, "GET", path, a["registration_access_token"].(string), ""), 200, "")
	answered(t, ask(t, h, "POST", registerURL, "", plainBody), 401, dcr.InvalidToken)
	if asked != 3 {
		t.Errorf("asked %d times; it must not be asked about management and strangers", asked)
	}
}

func TestOrigin(t *testing.T) {
	for _, c := range []struct{ sentence, says, kept string }{
		{"an address is kept", "192.0.2.7", "192.0.2.7"},
		{"an empty origin stays empty", "", ""},
		{"control characters and invalid bytes are left out", "a\r\nb\x00c\u0085\xffd", "abcd"},
		{"at most 255 bytes, of whole letters, are kept", strings.Repeat("ä", 200), strings.Repeat("ä", 127)},
	} {
		store := memstore.New()
		h := newHandler(t, store, dcr.Options{AllowAnonymous: true, Origin: func(*http.Request) string { return c.says }})
		r := registerWith(t, h, decode(t, plainBody))
		for range 2 {
			client, err := store.FindByClientID(t.Context(), r.members["client_id"].(string))
			if err != nil || client.RegisteredFrom != c.kept {
				t.Errorf("%s: %q, %v", c.sentence, client.RegisteredFrom, err)
			}
			r.update(t, decode(t, plainBody), 200, "")
		}
	}
}

func TestSwitchesThatContradict(t *testing.T) {
	for _, c := range []struct {
		store dcr.ClientConfigurationStore
		opts  dcr.Options
		says  string
	}{
		{memstore.New(), dcr.Options{ClosedStatus: 503}, "Options.ClosedStatus"},
		{memstore.New(), dcr.Options{EvictAfter: time.Hour}, "set MaxClients, or leave EvictAfter at zero"},
		{onlyCounts{memstore.New()}, dcr.Options{EvictAfter: time.Hour, MaxClients: 1}, "a store that is a ClientEvictor"},
		{onlyCounts{memstore.New()}, dcr.Options{MaxClients: 1}, ""},
		{onlyCounts{memstore.New()}, dcr.Options{MaxClients: 1, EvictAfter: -1}, ""},
	} {
		c.opts.Endpoint = endpoint
		c.opts.Logger, _ = quiet()
		_, err := dcr.NewHandler(c.store, &c.opts)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v", c.opts, err)
		}
	}
}

// onlyCounts is a store that cannot evict.
type onlyCounts struct{ *memstore.Store }

func (o onlyCounts) EvictClient() {}

package spec_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

func TestErrorfShowsNothingOfWhatItWraps(t *testing.T) {
	dial, read := errors.New("dial tcp 10.0.0.7:5432: refused"), errors.New("read /etc/secret")
	shown := dcr.Errorf(dcr.InvalidRedirectURI, "must use https")
	for _, test := range []struct {
		sentence string
		err      *dcr.Error
		shows    string
		behind   []error
	}{
		{"without an error everything is shown", dcr.Errorf("c", "at most %d: %s", 3, "a"), "at most 3: a", nil},
		{"an error that is not wrapped is shown", dcr.Errorf("c", "uri %s", shown), "uri invalid_redirect_uri: must use https", nil},
		{"%w is hidden, with the colon before it", dcr.Errorf("c", "the directory failed: %w", dial), "the directory failed", []error{dial}},
		{"of two errors only the wrapped one is hidden", dcr.Errorf("c", "uri %s: %w", shown, dial), "uri invalid_redirect_uri: must use https", []error{dial}},
		{"several errors are all hidden", dcr.Errorf("c", "both failed: %w, %w", dial, read), "both failed", []error{dial, read}},
		{"errors in two places are both hidden", dcr.Errorf("c", "first %w then %w failed", dial, read), "first then failed", []error{dial, read}},
		{"so is one with an argument index", dcr.Errorf("c", "%[2]s failed: %[1]w", dial, "it"), "it failed", []error{dial}},
		{"one that is wrapped and shown is hidden in both places", dcr.Errorf("c", "%[1]v failed: %[1]w", dial), "failed", []error{dial}},
		{"flags change nothing", dcr.Errorf("c", "failed: %+w %40w %.3w", dial, dial, read), "failed", []error{dial, read}},
		{"its parentheses are hidden with it", dcr.Errorf("c", "it failed (%w)", dial), "it failed", []error{dial}},
		{"so are square brackets and quotes", dcr.Errorf("c", "it failed [%w] '%w' \"%w\" here", dial, read, dial), "it failed here", []error{dial, read}},
		{"parentheses around more text stay", dcr.Errorf("c", "it failed (after 3 s: %w)", dial), "it failed (after 3 s)", []error{dial}},
		{"at the beginning, the colon after it is hidden", dcr.Errorf("c", "%w: it failed", dial), "it failed", []error{dial}},
		{"without other text, nothing is left", dcr.Errorf("c", "%w", dial), "", []error{dial}},
		{"nil is left out", dcr.Errorf("c", "it failed: %w", nil), "it failed", nil},
		{"what the error wraps is wrapped too", dcr.Errorf("c", "it failed: %w", fmt.Errorf("get: %w", dial)), "it failed", []error{dial}},
		{"a refusal that a refusal wraps is hidden", dcr.Errorf("c", "it failed: %w", shown), "it failed", []error{shown, dcr.InvalidRedirectURI}},
		{"unprintable characters are replaced", dcr.Errorf("c", "a\x00error\x00\"\n\u202e: %w", dial), "a'??", []error{dial}},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			if test.err.Description != test.shows {
				t.Errorf("it shows %q, want %q", test.err.Description, test.shows)
			}
			for _, behind := range test.behind {
				if !errors.Is(test.err, behind) {
					t.Errorf("%v is not wrapped by %v", behind, test.err)
				}
			}
			if test.behind == nil && test.err.Err != nil {
				t.Errorf("it wraps %v", test.err.Err)
			}
			recorder := httptest.NewRecorder()
			dcr.WriteError(recorder, httptest.NewRequest("POST", registerURL, nil), test.err)
			for _, secret := range []string{"10.0.0.7", "/etc"} {
				if text := test.err.Error() + recorder.Body.String() + fmt.Sprint(recorder.Header()); strings.Contains(text, secret) {
					t.Errorf("a stranger reads %s", text)
				}
			}
		})
	}
}

func TestUnavailableAndRefuseToken(t *testing.T) {
	cause := errors.New("no route to 10.0.0.7")
	for _, test := range []struct {
		sentence          string
		err               *dcr.Error
		status            int
		body, retry, auth string
	}{
		{"an outage may be tried again", dcr.Unavailable("the directory is out of order", cause), 503,
			`{"error":"temporarily_unavailable","error_description":"the directory is out of order; try again later"}`, "5", ""},
		{"without a cause it is the same", dcr.Unavailable("100% busy", nil), 503,
			`{"error":"temporarily_unavailable","error_description":"100% busy; try again later"}`, "5", ""},
		{"a token is always refused with the same text", dcr.RefuseToken("expired", cause), 401,
			`{"error":"invalid_token","error_description":"the access token is not valid for this request"}`, "", `Bearer realm="client registration", error="invalid_token"`},
		{"whatever the reason", dcr.RefuseToken("signature", nil), 401,
			`{"error":"invalid_token","error_description":"the access token is not valid for this request"}`, "", `Bearer realm="client registration", error="invalid_token"`},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			recorder := httptest.NewRecorder()
			dcr.WriteError(recorder, newRequest("POST", registerURL, "t", ""), fmt.Errorf("wrapped: %w", test.err))
			header := recorder.Header()
			if recorder.Code != test.status || recorder.Body.String() != test.body || header.Get("Retry-After") != test.retry || header.Get("WWW-Authenticate") != test.auth {
				t.Errorf("got %d %s %v", recorder.Code, recorder.Body, header)
			}
		})
	}
	if refused := dcr.RefuseToken("expired", cause); refused.Rule != "token.expired" || !errors.Is(refused, cause) || !errors.Is(refused, dcr.InvalidToken) {
		t.Errorf("the log reads %+v", refused)
	}
}

// refusing is a validator that refuses in one step.
type refusing struct {
	dcr.DefaultValidator
	refusal error
	on      string // the client_name that it refuses
}

func (v refusing) ValidateClient(ctx context.Context, reg *dcr.Registration) error {
	if reg.Client.ClientName == v.on {
		return v.refusal
	}
	return v.DefaultValidator.ValidateClient(ctx, reg)
}

// What the error of a hook wraps is only logged: it changes neither the answer
// nor what the handler does.
func TestWhatLiesBehindAnErrorDecidesNothing(t *testing.T) {
	for _, cause := range []error{
		dcr.ErrClientNotFound, dcr.ErrConflict, dcr.ErrClientExists, dcr.ErrStoreFull, dcr.RefuseToken("expired", nil), context.Canceled,
		errors.New("dial tcp 10.0.0.7:5432: refused"),
	} {
		for _, how := range []struct {
			name    string
			refusal error
			status  int
			code    dcr.Code
		}{
			{"wrapped by a refusal", dcr.Errorf(dcr.InvalidClientMetadata, "client_name is taken: %w", cause), 400, dcr.InvalidClientMetadata},
			{"wrapped by an outage", dcr.Unavailable("the directory is out of order", cause), 503, dcr.TemporarilyUnavailable},
		} {
			t.Run(cause.Error()+" "+how.name, func(t *testing.T) {
				var lines bytes.Buffer
				handler := newHandler(t, memstore.New(), dcr.Options{
					AllowAnonymous: true, MaxClients: 10, Validator: refusing{refusal: how.refusal, on: "Taken"},
					Logger: slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug})),
				})
				client := registerWith(t, handler, decode(t, plainBody))
				taken := decode(t, plainBody).with("client_name", "Taken")
				members := client.update(t, taken, how.status, how.code)
				posted := answered(t, ask(t, handler, "POST", registerURL, "", taken.String()), how.status, how.code)
				for _, members := range []object{members, posted} {
					if strings.Contains(members.String(), cause.Error()) {
						t.Errorf("a stranger reads %s", members)
					}
				}
				if !strings.Contains(lines.String(), cause.Error()) {
					t.Errorf("the log says %s", &lines)
				}
				client.update(t, decode(t, plainBody), 200, "")
			})
		}
	}
}

func TestAnOutageBehindWhichARefusalLiesIsNoRefusal(t *testing.T) {
	outage := saying("", dcr.Unavailable("the introspection endpoint is out of order", dcr.RefuseToken("its own", nil)))
	handler := newHandler(t, memstore.New(), dcr.Options{Caller: dcr.AnyOf(outage, refuses), ManageAs: func(*dcr.Caller, *dcr.Client) bool { return true }})
	answered(t, ask(t, handler, "POST", registerURL, "t", plainBody), 503, dcr.TemporarilyUnavailable)
	answered(t, ask(t, handler, "GET", registerURL+"?client_id=a", "t", ""), 503, dcr.TemporarilyUnavailable)
}

func TestRetryAfterIsInWholeSeconds(t *testing.T) {
	for after, want := range map[time.Duration]string{0: "", -time.Second: "", time.Millisecond: "1", time.Second: "1", 1001 * time.Millisecond: "2"} {
		recorder := httptest.NewRecorder()
		dcr.WriteError(recorder, httptest.NewRequest("POST", registerURL, nil), &dcr.Error{Code: dcr.AccessDenied, Status: 429, RetryAfter: after})
		if got := recorder.Header().Get("Retry-After"); got != want || recorder.Code != 429 {
			t.Errorf("after %v: %d, %q", after, recorder.Code, got)
		}
	}
}

// A host that changes an error to its taste changes that answer alone.
func TestErrorsAreTheHosts(t *testing.T) {
	var events []dcr.Event
	handler := newHandler(t, memstore.New(), dcr.Options{
		Events: func(_ context.Context, event dcr.Event) { events = append(events, event) },
		WriteError: func(w http.ResponseWriter, r *http.Request, err error) {
			dcr.WriteError(w, r, err)
			if refused := (*dcr.Error)(nil); errors.As(err, &refused) {
				refused.Code, refused.Description, refused.Rule, refused.Status = dcr.ServerError, "mine", "mine", 418
			}
		},
	})
	for _, refused := range []struct{ method, url, token, body string }{
		{"POST", registerURL, "", plainBody},
		{"GET", registerURL + "?client_id=nobody", "", ""},
		{"GET", registerURL + "?client_id=nobody", "guessed", ""},
		{"PATCH", registerURL, "", ""},
	} {
		first := ask(t, handler, refused.method, refused.url, refused.token, refused.body)
		second := ask(t, handler, refused.method, refused.url, refused.token, refused.body)
		if first.status != second.status || first.body != second.body || first.status == 418 {
			t.Errorf("%s: %d %s, then %d %s", refused.method, first.status, first.body, second.status, second.body)
		}
	}
	for _, event := range events {
		if event.Err.Rule == "mine" {
			t.Errorf("an event was changed: %v", event.Err)
		}
	}
}

// WriteError recognises an error that a hook of the host returned, although it gets a copy.
func TestErrorsAreRecognised(t *testing.T) {
	mine, other := dcr.Errorf(dcr.AccessDenied, "closed for lunch"), dcr.Errorf(dcr.AccessDenied, "closed for lunch")
	for name, returned := range map[string]error{"itself": mine, "wrapped": fmt.Errorf("at noon: %w", mine)} {
		var got error
		handler := newHandler(t, memstore.New(), dcr.Options{
			AllowAnonymous: true,
			Admit:          func(*http.Request, *dcr.Caller) error { return returned },
			WriteError: func(w http.ResponseWriter, r *http.Request, err error) {
				got = err
				dcr.WriteError(w, r, err)
			},
		})
		answered(t, ask(t, handler, "POST", registerURL, "", plainBody), 403, dcr.AccessDenied)
		if !errors.Is(got, mine) || !errors.Is(got, dcr.AccessDenied) || errors.Is(got, other) {
			t.Errorf("%s: WriteError got %v, which is the host's: %t", name, got, errors.Is(got, mine))
		}
	}
}

func TestRefuses(t *testing.T) {
	for sentence, c := range map[string]struct {
		err     *dcr.Error
		refuses bool
	}{
		"a refusal":                     {&dcr.Error{Code: dcr.InvalidClient}, true},
		"one with a status of its own":  {&dcr.Error{Code: dcr.AccessDenied, Status: 451}, true},
		"one with no status of HTTP":    {&dcr.Error{Code: dcr.InvalidClient, Status: 700}, true},
		"one without a code":            {&dcr.Error{}, true},
		"nil":                           {nil, false},
		"what may succeed later":        {&dcr.Error{Code: dcr.TemporarilyUnavailable, Status: 429}, false},
		"what is out of reach":          {dcr.Unavailable("the store is unavailable", nil), false},
		"a fault of the server":         {&dcr.Error{Code: dcr.ServerError}, false},
		"the same with another status":  {&dcr.Error{Code: dcr.ServerError, Status: 200}, false},
		"only the status of a fault":    {&dcr.Error{Status: 502}, false},
		"a refusal answered as a fault": {&dcr.Error{Code: dcr.InvalidClient, Status: 503}, false},
	} {
		if got := c.err.Refuses(); got != c.refuses {
			t.Errorf("%s: %t", sentence, got)
		}
	}
}

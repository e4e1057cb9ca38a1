package dcrtest_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
)

func TestDocumentsAreWhole(t *testing.T) {
	documents := dcrtest.Documents()
	if len(documents) != 4 {
		t.Errorf("%d documents", len(documents))
	}
	for _, document := range documents {
		id, err := url.Parse(document.ClientID)
		if err != nil || id.Scheme != "https" || id.Path == "" || document.Name == "" || !json.Valid(document.Metadata) {
			t.Errorf("%s: %q, %v", document.Name, document.ClientID, err)
		}
	}
}

// TestPublisher tests what a guarded client returns for each Misbehaviour.
func TestPublisher(t *testing.T) {
	p := dcrtest.NewPublisher(t)
	id := p.Publish("/client", []byte(`{"client_name":"App"}`))
	p.CacheControl("/client", "max-age=60")
	fetch := p.Fetch()
	fetch.Timeout, fetch.MaxBytes = time.Second, 5<<10
	for _, c := range []struct {
		does dcrtest.Misbehaviour
		err  error
		body string
	}{
		{dcrtest.Behaves, nil, `{"client_id":"` + id + `","client_name":"App"}`},
		{dcrtest.Misspells, nil, `{"client_id":"` + id + `x","client_name":"App"}`},
		{dcrtest.Impersonates, nil, `{"client_id":"https://app.example.com/client","client_name":"App"}`},
		{dcrtest.Repeats, nil, `{"client_id":"` + id + `","client_id":"` + id + `","client_name":"App"}`},
		{dcrtest.Breaks, nil, `{"client_id":"` + id + `","client_name":"App"`},
		{dcrtest.Mistypes, nil, `{"client_id":"` + id + `","client_name":"App"}`},
		{dcrtest.Walls, nil, "<!doctype html><title>Are you human?</title>"},
		{dcrtest.Redirects, dcr.ErrAnswerRefused, ""},
		{dcrtest.Forbids, dcr.ErrAnswerRefused, ""},
		{dcrtest.Misses, dcr.ErrAnswerRefused, ""},
		{dcrtest.Withdraws, dcr.ErrAnswerRefused, ""},
		{dcrtest.Throttles, dcr.ErrAnswerRefused, ""},
		{dcrtest.Fails, dcr.ErrAnswerRefused, ""},
		{dcrtest.Floods, dcr.ErrAnswerRefused, ""},
		{dcrtest.Compresses, dcr.ErrAnswerRefused, ""},
		{dcrtest.HangsUp, dcr.ErrUnreachable, ""},
		{dcrtest.Stalls, dcr.ErrUnreachable, ""},
	} {
		p.Misbehave("/client", c.does)
		before := p.Fetches("/client")
		fetched, err := fetch.Get(t.Context(), id, "application/json")
		if !errors.Is(err, c.err) || err == nil && string(fetched.Body) != c.body || p.Fetches("/client") != before+1 {
			t.Errorf("it %s: %v, %+v", c.does, err, fetched)
		}
		if c.does == dcrtest.Behaves && time.Until(fetched.FreshUntil) < 50*time.Second {
			t.Errorf("fresh until %v", fetched.FreshUntil)
		}
	}
	for _, path := range []string{"/client?v=1", "/client?", "/a%2fclient"} {
		id := p.Publish(path, []byte(`{"client_name":"Other"}`))
		if fetched, err := fetch.Get(t.Context(), id, ""); err != nil || string(fetched.Body) != `{"client_id":"`+id+`","client_name":"Other"}` || p.Fetches(path) != 1 {
			t.Errorf("%s: %v", path, err)
		}
	}
	if fetched, err := fetch.Get(t.Context(), p.URL("/nothing"), ""); err == nil || fetched.Status != 404 {
		t.Errorf("nothing is there: %v, %v", fetched, err)
	}
}

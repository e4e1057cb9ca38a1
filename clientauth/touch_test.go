package clientauth_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dynreg/dcr"
)

// counting counts the noted uses.
type counting struct {
	dcr.ClientConfigurationStore
	count *atomic.Int32
	err   error
}

func (c counting) TouchClient(context.Context, string, time.Time) error {
	c.count.Add(1)
	return c.err
}

func TestTouch(t *testing.T) {
	used := func(ago time.Duration) *dcr.Client {
		return newClient("basic", "client_secret_basic", func(c *dcr.Client) { withSecret(c); c.Touch(now.Add(-ago)) })
	}
	for _, c := range []struct {
		sentence string
		client   *dcr.Client
		secret   string
		dont     bool
		err      error
		want     int32
	}{
		{"a client that was never used is touched once by many", newClient("basic", "client_secret_basic", withSecret), "its+secret", false, nil, 1},
		{"so is one that was used two minutes ago", used(2 * time.Minute), "its+secret", false, nil, 1},
		{"one that was used a minute ago is not", used(time.Minute), "its+secret", false, nil, 0},
		{"nor if the host says so", used(time.Hour), "its+secret", true, nil, 0},
		{"nor by a stranger", used(time.Hour), "x", false, nil, 0},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			count := &atomic.Int32{}
			a := newAuthenticator(counting{newStore(t, c.client), count, c.err})
			a.DontTouch = c.dont
			var all sync.WaitGroup
			for range 16 {
				all.Go(func() { a.Authenticate(post("basic:"+c.secret, nil)) })
			}
			if all.Wait(); count.Load() != c.want {
				t.Errorf("touched %d times, not %d", count.Load(), c.want)
			}
		})
	}
}

func TestTouchThatFails(t *testing.T) {
	count := &atomic.Int32{}
	a := newAuthenticator(counting{newStore(t, newClient("basic", "client_secret_basic", withSecret)), count, errDown})
	for range 2 {
		if got := outcome(a, post("basic:its+secret", nil)); got != "client_secret_basic" {
			t.Errorf("a touch that fails must not refuse the client: %s", got)
		}
	}
	if count.Load() != 2 {
		t.Error("the next request must try again")
	}
}

package callerauth_test

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/callerauth"
	"github.com/dynreg/dcr/memstore"
)

// bySubject limits callers, but not strangers.
func bySubject(_ *http.Request, caller *dcr.Caller) string {
	if caller == nil {
		return ""
	}
	return caller.Subject
}

func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		admit := callerauth.RateLimit(6, 3, 2, bySubject)
		r := httptest.NewRequest("POST", "/", nil)
		ask := func(when, subject string, wait time.Duration) {
			t.Helper()
			err := admit(r, &dcr.Caller{Subject: subject})
			refused := (*dcr.Error)(nil)
			if errors.As(err, &refused) != (wait > 0) || wait > 0 && (refused.RetryAfter != wait || refused.Status != 429 || refused.Rule != "caller.rate") {
				t.Errorf("%s: %+v, want to wait %v", when, err, wait)
			}
		}
		for range 3 {
			ask("a burst", "ann", 0)
		}
		ask("beyond the burst", "ann", 10*time.Second)
		ask("a refusal costs nothing", "ann", 10*time.Second)
		ask("another one", "bob", 0)
		time.Sleep(4 * time.Second)
		ask("too early", "ann", 6*time.Second)
		time.Sleep(6 * time.Second)
		ask("in time", "ann", 0)
		ask("one at a time", "ann", 10*time.Second)
		time.Sleep(time.Hour)
		for range 3 {
			ask("a bucket has at most one burst", "ann", 0)
		}
		ask("a bucket has at most one burst", "ann", 10*time.Second)
		ask("a third one", "bob", 0)
		ask("a third one", "cy", 0)
		ask("one that was displaced", "ann", 0)
		for range 100 {
			ask("without a key", "", 0)
			if err := admit(r, nil); err != nil {
				t.Errorf("a stranger: %v", err)
			}
		}
	})
}

// TestRateLimitOfAnySize checks that it works with numbers of any size, and that keys
// of any length are distinct.
func TestRateLimitOfAnySize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, numbers := range [][2]int{{1, math.MaxInt}, {1, 200_000_000}, {math.MaxInt, 1}, {math.MaxInt, math.MaxInt}} {
			admit := callerauth.RateLimit(numbers[0], numbers[1], 1, bySubject)
			for range 3 {
				if err := admit(nil, &dcr.Caller{Subject: "ann"}); err != nil {
					t.Errorf("%d a minute, a burst of %d: %v", numbers[0], numbers[1], err)
				}
			}
		}
		admit, long := callerauth.RateLimit(1, 1, 2, bySubject), strings.Repeat("a", 10_000)
		first, second, again := admit(nil, &dcr.Caller{Subject: long + "a"}), admit(nil, &dcr.Caller{Subject: long + "b"}), admit(nil, &dcr.Caller{Subject: long + "a"})
		if first != nil || second != nil || again == nil {
			t.Errorf("long keys: %v, %v, then %v", first, second, again)
		}
	})
}

func TestRateLimitPanics(t *testing.T) {
	for name, make := range map[string]func(){
		"no rate":  func() { callerauth.RateLimit(0, 1, 1, bySubject) },
		"no burst": func() { callerauth.RateLimit(1, 0, 1, bySubject) },
		"no keys":  func() { callerauth.RateLimit(1, 1, 0, bySubject) },
		"no key":   func() { callerauth.RateLimit(1, 1, 1, nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: it does not panic", name)
				}
			}()
			make()
		}()
	}
}

// Without a proxy in between, the address of the connection identifies a
// stranger.
func ExampleRateLimit() {
	handler, err := dcr.NewHandler(memstore.New(), &dcr.Options{
		Endpoint:       "https://id.example.com/connect/dcr",
		AllowAnonymous: true,
		Logger:         slog.New(slog.DiscardHandler),
		Admit: callerauth.RateLimit(10, 2, 10_000, func(r *http.Request, caller *dcr.Caller) string {
			address, _, _ := net.SplitHostPort(r.RemoteAddr)
			return address
		}),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		r := httptest.NewRequest("POST", "/connect/dcr", strings.NewReader(`{"redirect_uris":["https://app.example.com/callback"]}`))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Printf("%d %q\n", w.Code, w.Header().Get("Retry-After"))
	}
	// Output:
	// 201 ""
	// 201 ""
	// 429 "6"
}

package guard_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dynreg/dcr/internal/guard"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// names is a resolver that gives each name its answers in turn; the last one is
// repeated.
type names struct {
	answers map[string][]string
	asked   atomic.Int32
}

func (n *names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	asked := int(n.asked.Add(1)) - 1
	answers, ok := n.answers[host]
	if !ok {
		return nil, errors.New("no such host")
	}
	var addrs []netip.Addr
	for text := range strings.FieldsSeq(answers[min(asked, len(answers)-1)]) {
		addrs = append(addrs, netip.MustParseAddr(text))
	}
	return addrs, nil
}

// source is a test server on a loopback address.
type source struct {
	*httptest.Server
	roots *x509.CertPool
	hits  atomic.Int32
}

func newSource(t *testing.T, answer http.HandlerFunc) *source {
	s := &source{roots: x509.NewCertPool()}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.hits.Add(1)
		answer(w, r)
	}))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	s.roots.AddCert(s.Certificate())
	return s
}

// on returns the source's URL with another host.
func (s *source) on(host string) string {
	return strings.Replace(s.URL, "127.0.0.1", host, 1) + "/document"
}

func document(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "Application/JSON; charset=utf-8")
	fmt.Fprint(w, "document")
}

func TestGetFetches(t *testing.T) {
	s := newSource(t, document)
	tests := []struct {
		name, host string
		answers    map[string][]string
		networks   []netip.Prefix
	}{
		{"an address in an allowed network is reached on any port", "127.0.0.1", nil, loopback},
		{"a name that resolves into an allowed network is reached", "example.com", map[string][]string{"example.com": {"127.0.0.1"}}, loopback},
		{"an IPv4-mapped answer is checked as the IPv4 address", "example.com", map[string][]string{"example.com": {"::ffff:127.0.0.1"}}, loopback},
		{"after a dead address the next is tried", "example.com", map[string][]string{"example.com": {"127.77.77.77 127.0.0.1"}}, loopback},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := guard.New(guard.Config{AllowNetworks: test.networks, RootCAs: s.roots, Resolver: &names{answers: test.answers}})
			res, err := c.Get(t.Context(), s.on(test.host), "application/json")
			if err != nil {
				t.Fatal(err)
			}
			if string(res.Body) != "document" || res.ContentType != "application/json" || res.Fresh.Said {
				t.Errorf("got %q, %q, %v", res.Body, res.ContentType, res.Fresh)
			}
		})
	}
}

func TestGetRefusesToConnect(t *testing.T) {
	s := newSource(t, document)
	tests := []struct {
		name, url, log string
		config         guard.Config
	}{
		{"http is refused", strings.Replace(s.URL, "https", "http", 1), "not an https URL", guard.Config{AllowNetworks: loopback}},
		{"file is refused", "file:///etc/passwd", "not an https URL", guard.Config{}},
		{"a relative URL is refused", "//127.0.0.1/", "not an https URL", guard.Config{}},
		{"an opaque URL is refused", "https:example.com", "without a host", guard.Config{}},
		{"a URL without a host is refused", "https://:443/", "without a host", guard.Config{}},
		{"a user name is refused", strings.Replace(s.URL, "//", "//me:pass@", 1), "user name", guard.Config{AllowNetworks: loopback}},
		{"a fragment is refused", s.URL + "/#a", "fragment", guard.Config{AllowNetworks: loopback}},
		{"an empty fragment is refused", s.URL + "/#", "fragment", guard.Config{AllowNetworks: loopback}},
		{"something that is not a URL is refused", "https://a b/", "not a URL", guard.Config{}},
		{"control characters are refused", "https://a\r\nHost: b/", "not a URL", guard.Config{}},
		{"an IPv4 literal is checked", s.URL, "no permitted address", guard.Config{}},
		{"an IPv6 literal is checked", "https://[::1]/", "no permitted address", guard.Config{}},
		{"an IPv4-mapped literal is checked", "https://[::ffff:169.254.169.254]/", "no permitted address", guard.Config{}},
		{"a literal with a zone is refused", "https://[fe80::1%25lo]/", "no permitted address", guard.Config{}},
		{"a name that resolves to a special address is refused", s.on("internal.example"), "no permitted address", guard.Config{AllowPorts: []uint16{portOf(s)}}},
		{"a name with public and special addresses is refused", s.on("mixed.example"), "no permitted address", guard.Config{AllowPorts: []uint16{portOf(s)}}},
		{"a name is refused for one special address after many public ones", "https://many.example/", "127.0.0.1", guard.Config{}},
		{"a network for named hosts is closed to others", s.on("internal.example"), "no permitted address", guard.Config{AllowNetworks: loopback, PrivateHosts: []string{"other.example"}}},
		{"a network for named hosts is closed to its addresses", s.URL, "no permitted address", guard.Config{AllowNetworks: loopback, PrivateHosts: []string{"internal.example"}}},
		{"a port that is not allowed is refused", "https://public.example:8443/", "port 8443", guard.Config{}},
		{"an allowed port does not allow a network", s.URL, "no permitted address", guard.Config{AllowPorts: []uint16{portOf(s)}}},
		{"port 0 is refused", "https://public.example:0/", "port 0", guard.Config{}},
		{"an allowed network does not allow another", s.URL, "no permitted address", guard.Config{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}},
		{"a name that does not resolve is an error", "https://nowhere.example/", "no such host", guard.Config{}},
		{"a name without addresses is an error", "https://empty.example/", "no address", guard.Config{}},
	}
	resolver := &names{answers: map[string][]string{"internal.example": {"127.0.0.1"}, "mixed.example": {"1.1.1.1 127.0.0.1"},
		"many.example": {"1.1.1.1 1.0.0.1 8.8.8.8 8.8.4.4 9.9.9.9 127.0.0.1"}, "public.example": {"1.1.1.1"}, "empty.example": {""}}}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var log bytes.Buffer
			test.config.RootCAs = s.roots
			test.config.Resolver = resolver
			test.config.Logger = slog.New(slog.NewTextHandler(&log, nil))
			res, err := guard.New(test.config).Get(t.Context(), test.url, "*/*")
			want := guard.ErrAddressRefused
			if strings.HasSuffix(test.name, "is an error") {
				want = guard.ErrUnreachable
			}
			if err != want || res != nil {
				t.Errorf("got %v, %v", res, err)
			}
			if !strings.Contains(log.String(), test.log) || !strings.Contains(log.String(), "level=WARN") {
				t.Errorf("logged %s", log.String())
			}
			if strings.Contains(log.String(), "pass") && strings.Contains(test.url, "pass@") {
				t.Errorf("logged a credential: %s", log.String())
			}
		})
	}
	if n := s.hits.Load(); n != 0 {
		t.Errorf("%d requests came through", n)
	}
}

func portOf(s *source) uint16 {
	return netip.MustParseAddrPort(s.Listener.Addr().String()).Port()
}

func TestRebindingGainsNothing(t *testing.T) {
	s := newSource(t, document)
	resolver := &names{answers: map[string][]string{"example.com": {"192.168.0.1", "127.0.0.1"}}}
	c := guard.New(guard.Config{
		AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		RootCAs:       s.roots, Resolver: resolver, Logger: slog.New(slog.DiscardHandler),
	})
	if _, err := c.Get(t.Context(), s.on("example.com"), "*/*"); err != guard.ErrAddressRefused {
		t.Errorf("the second answer was dialled: %v", err)
	}
	if n := resolver.asked.Load(); n != 1 {
		t.Errorf("resolved %d times", n)
	}
}

func TestGetJudgesTheAnswer(t *testing.T) {
	tests := []struct {
		name   string
		answer http.HandlerFunc
		log    string
	}{
		{"a redirect is not followed", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}, "status 302"},
		{"not found is an error", http.NotFound, "status 404"},
		{"a success other than 200 is an error", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNoContent)
		}, "status 204"},
		{"a compressed document is refused", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			fmt.Fprint(z, "document")
			z.Close()
		}, "compressed"},
		{"a document whose announced length is too large is not read", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "101")
			fmt.Fprint(w, strings.Repeat("a", 101))
		}, "101 bytes"},
		{"a document that turns out to be too large is refused", func(w http.ResponseWriter, _ *http.Request) {
			for range 101 {
				fmt.Fprint(w, "a")
				w.(http.Flusher).Flush()
			}
		}, "more than 100 bytes"},
		{"a document that ends early is refused", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "50")
			fmt.Fprint(w, "a")
		}, "unexpected EOF"},
		{"a header that is too large is refused", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Large", strings.Repeat("a", 64<<10))
			fmt.Fprint(w, "document")
		}, "headers exceeded"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var log bytes.Buffer
			s := newSource(t, test.answer)
			c := guard.New(guard.Config{
				AllowNetworks: loopback, RootCAs: s.roots, MaxBytes: 100,
				Logger: slog.New(slog.NewTextHandler(&log, nil)),
			})
			want := guard.ErrAnswerRefused
			if strings.Contains(test.name, "ends early") || strings.Contains(test.name, "a header") {
				want = guard.ErrUnreachable
			}
			if res, err := c.Get(t.Context(), s.URL, "*/*"); err != want || res != nil && res.Body != nil {
				t.Errorf("got %v, %v", res, err)
			}
			if !strings.Contains(log.String(), test.log) {
				t.Errorf("logged %s", log.String())
			}
			if n := s.hits.Load(); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func TestGetTakesADocumentOfExactlyTheLargestSize(t *testing.T) {
	s := newSource(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("a", 100)) })
	c := guard.New(guard.Config{AllowNetworks: loopback, RootCAs: s.roots, MaxBytes: 100})
	if res, err := c.Get(t.Context(), s.URL, "*/*"); err != nil || len(res.Body) != 100 {
		t.Errorf("got %v", err)
	}
}

func TestGetNeedsATrustedCertificateForTheName(t *testing.T) {
	s := newSource(t, document)
	resolver := &names{answers: map[string][]string{"other.example": {"127.0.0.1"}}}
	quiet := slog.New(slog.DiscardHandler)
	untrusting := guard.New(guard.Config{AllowNetworks: loopback, Logger: quiet})
	if _, err := untrusting.Get(t.Context(), s.URL, "*/*"); err != guard.ErrUnreachable {
		t.Errorf("an unknown authority was trusted: %v", err)
	}
	trusting := guard.New(guard.Config{AllowNetworks: loopback, RootCAs: s.roots, Resolver: resolver, Logger: quiet})
	if _, err := trusting.Get(t.Context(), s.on("other.example"), "*/*"); err != guard.ErrUnreachable {
		t.Errorf("another name's certificate was taken: %v", err)
	}
}

func TestTheRequestCarriesNothingOfTheServers(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("https_proxy", "http://127.0.0.1:1")
	var got http.Header
	var closing bool
	s := newSource(t, func(w http.ResponseWriter, r *http.Request) {
		got, closing = r.Header, r.Close
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
	})
	resolver := &names{answers: map[string][]string{"example.com": {"127.0.0.1"}}}
	c := guard.New(guard.Config{AllowNetworks: loopback, RootCAs: s.roots, Resolver: resolver})
	for range 2 {
		if _, err := c.Get(t.Context(), s.on("example.com"), "application/jwk-set+json"); err != nil {
			t.Fatal(err)
		}
	}
	got.Del("Connection")
	want := http.Header{"Accept": {"application/jwk-set+json"}, "User-Agent": {"dcr"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("sent %v", got)
	}
	if !closing {
		t.Error("the connection was kept")
	}
}

func TestGetIsBoundedInTime(t *testing.T) {
	release := make(chan struct{})
	s := newSource(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-release
	})
	defer close(release)
	config := guard.Config{AllowNetworks: loopback, RootCAs: s.roots, Logger: slog.New(slog.DiscardHandler)}

	config.Timeout = 50 * time.Millisecond
	if _, err := guard.New(config).Get(t.Context(), s.URL, "*/*"); err != guard.ErrUnreachable {
		t.Errorf("the timeout gave %v", err)
	}
	config.Timeout = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := guard.New(config).Get(ctx, s.URL, "*/*"); err != guard.ErrUnreachable {
		t.Errorf("the end of the context gave %v", err)
	}
}

// TestMediaType checks that a malformed parameter does not affect the type.
func TestMediaType(t *testing.T) {
	for sent, want := range map[string]string{"Text/HTML; charset": "text/html", "text/html;;x=": "text/html", "text/html; a=1; a=2": "text/html", "text/html ;": "text/html", "/": "", "": ""} {
		s := newSource(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Type", sent) })
		c := guard.New(guard.Config{AllowNetworks: loopback, RootCAs: s.roots})
		if res, err := c.Get(t.Context(), s.URL, "*/*"); err != nil || res.ContentType != want {
			t.Errorf("%q: %+v, %v", sent, res, err)
		}
	}
}

// TestGetTakesNoPartOfADocument checks that a document is not accepted if the server
// ends its answer just as the client gives up.
func TestGetTakesNoPartOfADocument(t *testing.T) {
	s := newSource(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "docu")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	c := guard.New(guard.Config{AllowNetworks: loopback, RootCAs: s.roots, Timeout: 10 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	for range 50 {
		if res, err := c.Get(t.Context(), s.URL, "*/*"); err != guard.ErrUnreachable || res != nil && res.Body != nil {
			t.Fatalf("took %q, %v", res.Body, err)
		}
	}
}

func TestFetchesInFlightAreBounded(t *testing.T) {
	release, begun := make(chan struct{}), make(chan struct{}, 8)
	s := newSource(t, func(w http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		<-release
	})
	resolver := &names{answers: map[string][]string{"a.example.com": {"127.0.0.1"}, "b.example.com": {"127.0.0.1"}, "c.example.com": {"127.0.0.1"}}}
	c := guard.New(guard.Config{
		AllowNetworks: loopback, RootCAs: s.roots, Resolver: resolver, Concurrent: 3, PerHost: 2,
		Logger: slog.New(slog.DiscardHandler),
	})
	var fetches sync.WaitGroup
	for _, host := range []string{"a.example.com", "a.example.com", "b.example.com"} {
		fetches.Go(func() { c.Get(t.Context(), s.on(host), "*/*") })
	}
	for range 3 {
		<-begun
	}
	if _, err := c.Get(t.Context(), s.on("A.example.com"), "*/*"); err != guard.ErrBusy {
		t.Errorf("a third fetch to one host: %v", err)
	}
	if _, err := c.HTTP().Get(s.on("c.example.com")); !errors.Is(err, guard.ErrBusy) {
		t.Errorf("a fourth fetch: %v", err)
	}
	close(release)
	fetches.Wait()
	if _, err := c.Get(t.Context(), s.on("c.example.com"), "*/*"); err == guard.ErrBusy {
		t.Error("a fetch that ended still counts")
	}
}

func TestTheHTTPClientKeepsTheRules(t *testing.T) {
	s := newSource(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, "/", http.StatusFound)
			return
		}
		fmt.Fprint(w, strings.Repeat("a", 101))
	})
	c := guard.New(guard.Config{AllowNetworks: loopback, RootCAs: s.roots, MaxBytes: 100, PerHost: 1}).HTTP()
	for _, url := range []string{strings.Replace(s.URL, "https", "http", 1), "https://10.0.0.1/", strings.Replace(s.URL, "//", "//me:pass@", 1)} {
		if _, err := c.Post(url, "text/plain", nil); !errors.Is(err, guard.ErrAddressRefused) {
			t.Errorf("%s: %v", url, err)
		}
	}
	res, err := c.Post(s.URL+"/away", "text/plain", nil)
	if err != nil || res.StatusCode != http.StatusFound {
		t.Fatalf("a redirect: %v, %v", res, err)
	}
	res.Body.Close()
	if res, err = c.Get(s.URL); err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.ReadAll(res.Body); !errors.Is(err, guard.ErrAnswerRefused) {
		t.Errorf("a body that is too large: %v", err)
	}
}

// FuzzGet checks that no URL reaches an address that is not allowed, and that
// none returns a document.
func FuzzGet(f *testing.F) {
	for _, seed := range []string{
		"https://127.0.0.1/", "https://2130706433/", "https://0x7f.1/", "https://[::ffff:7f00:1]/", "https://localhost:443/",
		"https://a@127.0.0.1/", "https://127.0.0.1#@a/", "https://127。0。0。1/", "https://[fe80::1%25eth0]/", "https:///a", "http://a/",
	} {
		f.Add(seed)
	}
	c := guard.New(guard.Config{Resolver: &names{}, Logger: slog.New(slog.DiscardHandler), Timeout: time.Millisecond})
	f.Fuzz(func(t *testing.T, rawURL string) {
		if u, err := url.Parse(rawURL); err == nil {
			if addr, err := netip.ParseAddr(u.Hostname()); err == nil && guard.Public(addr.Unmap()) {
				t.Skip("would connect to another machine")
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if res, err := c.Get(ctx, rawURL, "*/*"); err == nil || res != nil && res.Body != nil {
			t.Errorf("got %v, %v", res, err)
		}
	})
}

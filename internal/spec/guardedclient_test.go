package spec_test

import (
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
)

// site returns the URL of a server of documents on this machine, and a client
// that may reach it.
func site(t testing.TB, answer http.HandlerFunc) (url string, client *dcr.GuardedClient) {
	t.Helper()
	server := httptest.NewTLSServer(answer)
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return server.URL, &dcr.GuardedClient{
		AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, RootCAs: roots, Logger: slog.New(slog.DiscardHandler),
	}
}

func TestGuardedClientGet(t *testing.T) {
	const soon = time.Minute
	for _, test := range []struct {
		sentence string
		answer   http.HandlerFunc
		change   func(g *dcr.GuardedClient, url *string)
		err      error
		want     *dcr.Fetched // except FreshUntil
		fresh    time.Duration
	}{
		{"a document is fetched", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "Application/JSON; charset=utf-8")
			io.WriteString(w, r.Header.Get("Accept"))
		}, nil, nil, &dcr.Fetched{Status: 200, Body: []byte("application/json"), ContentType: "application/json"}, 0},
		{"one without a type is fetched too", func(w http.ResponseWriter, r *http.Request) { w.Header()["Content-Type"] = nil; io.WriteString(w, "a") },
			nil, nil, &dcr.Fetched{Status: 200, Body: []byte("a")}, 0},
		{"it says how long it is fresh", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=90")
			w.Header().Set("Age", "30")
			w.Header().Set("Content-Type", "text/plain")
		}, nil, nil, &dcr.Fetched{Status: 200, Body: []byte{}, ContentType: "text/plain"}, soon},
		{"or that it must not be kept", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set("Content-Type", "text/plain")
		}, nil, nil, &dcr.Fetched{Status: 200, Body: []byte{}, ContentType: "text/plain", NoStore: true}, 0},
		{"another status is a refused answer", http.NotFound, nil, dcr.ErrAnswerRefused, &dcr.Fetched{Status: 404, ContentType: "text/plain"}, 0},
		{"so is a redirect", func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = nil
			http.Redirect(w, r, "/b", http.StatusFound)
		}, nil, dcr.ErrAnswerRefused, &dcr.Fetched{Status: 302}, 0},
		{"so is a document that is too large", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "12345") },
			func(g *dcr.GuardedClient, _ *string) { g.MaxBytes = 4 }, dcr.ErrAnswerRefused, &dcr.Fetched{Status: 200, ContentType: "text/plain"}, 0},
		{"an address of a special range is refused", nil, func(g *dcr.GuardedClient, _ *string) { g.AllowNetworks = nil }, dcr.ErrAddressRefused, nil, 0},
		{"so is one that is allowed for other hosts", nil, func(g *dcr.GuardedClient, _ *string) { g.PrivateHosts = []string{"keys.internal.example"} }, dcr.ErrAddressRefused, nil, 0},
		{"and one that is allowed for no host", nil, func(g *dcr.GuardedClient, _ *string) { g.PrivateHosts = []string{} }, dcr.ErrAddressRefused, nil, 0},
		{"one that is allowed for this host is reached", func(w http.ResponseWriter, r *http.Request) { w.Header()["Content-Type"] = nil },
			func(g *dcr.GuardedClient, _ *string) { g.PrivateHosts = []string{"a.example", "127.0.0.1"} }, nil, &dcr.Fetched{Status: 200, Body: []byte{}}, 0},
		{"http is refused", nil, func(_ *dcr.GuardedClient, url *string) { *url = "http" + strings.TrimPrefix(*url, "https") }, dcr.ErrAddressRefused, nil, 0},
		{"something that is not a URL is refused", nil, func(_ *dcr.GuardedClient, url *string) { *url = ":" }, dcr.ErrAddressRefused, nil, 0},
		{"an untrusted certificate is out of reach", nil, func(g *dcr.GuardedClient, _ *string) { g.RootCAs = x509.NewCertPool() }, dcr.ErrUnreachable, nil, 0},
		{"a slow server is out of reach", func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			panic(http.ErrAbortHandler) // an answer could reach a client that is giving up
		}, func(g *dcr.GuardedClient, _ *string) { g.Timeout = 20 * time.Millisecond }, dcr.ErrUnreachable, nil, 0},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			if test.answer == nil {
				test.answer = func(http.ResponseWriter, *http.Request) { t.Error("the request came through") }
			}
			url, client := site(t, test.answer)
			if test.change != nil {
				test.change(client, &url)
			}
			before := time.Now()
			got, err := client.Get(t.Context(), url, "application/json")
			if err != test.err || (got == nil) != (test.want == nil) {
				t.Fatalf("got %+v, %v", got, err)
			}
			if got == nil {
				return
			}
			if got.Status != test.want.Status || string(got.Body) != string(test.want.Body) || (got.Body == nil) != (test.want.Body == nil) ||
				got.ContentType != test.want.ContentType || got.NoStore != test.want.NoStore {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if test.fresh == 0 && !got.FreshUntil.IsZero() || test.fresh > 0 && (got.FreshUntil.Before(before.Add(test.fresh)) || got.FreshUntil.After(time.Now().Add(test.fresh))) {
				t.Errorf("fresh until %v", got.FreshUntil)
			}
		})
	}
}

func TestANilGuardedClientIsOneWithTheDefaults(t *testing.T) {
	url, _ := site(t, func(http.ResponseWriter, *http.Request) { t.Error("the request came through") })
	var client *dcr.GuardedClient
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(slog.New(slog.DiscardHandler))
	if _, err := client.Get(t.Context(), url, "*/*"); err != dcr.ErrAddressRefused {
		t.Errorf("Get: %v", err)
	}
	if _, err := client.HTTPClient().Get(url); !errors.Is(err, dcr.ErrAddressRefused) {
		t.Errorf("HTTPClient: %v", err)
	}
}

func TestFetchesInFlight(t *testing.T) {
	for sentence, change := range map[string]func(g *dcr.GuardedClient){
		"Concurrent bounds all":                    func(g *dcr.GuardedClient) { g.Concurrent = 1 },
		"PerHost bounds the fetches from one host": func(g *dcr.GuardedClient) { g.PerHost = 1 },
	} {
		t.Run(sentence, func(t *testing.T) {
			begun, release := make(chan struct{}), make(chan struct{})
			url, client := site(t, func(http.ResponseWriter, *http.Request) { begun <- struct{}{}; <-release })
			change(client)
			done := make(chan error)
			go func() { _, err := client.Get(t.Context(), url, "*/*"); done <- err }()
			<-begun
			if _, err := client.Get(t.Context(), url, "*/*"); err != dcr.ErrBusy {
				t.Errorf("Get: %v", err)
			}
			if _, err := client.HTTPClient().Get(url); !errors.Is(err, dcr.ErrBusy) {
				t.Errorf("HTTPClient: %v", err)
			}
			close(release)
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// body is the body of a request, which a RoundTripper always closes.
type body struct {
	io.Reader
	closed bool
}

func (b *body) Close() error { b.closed = true; return nil }

func TestHTTPClient(t *testing.T) {
	answer := func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body) // only then can a server notice that its client is gone
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, "https://10.0.0.1/", http.StatusSeeOther)
		case "/large":
			io.WriteString(w, strings.Repeat("a", 101))
		case "/slow":
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		default:
			w.WriteHeader(http.StatusAccepted)
			io.WriteString(w, r.Method+" "+string(text))
		}
	}
	for _, test := range []struct {
		sentence, path string
		alone          bool  // only the transport, in a client that a library made
		err, reading   error // of the exchange, and of reading the body
		status         int
		text           string
	}{
		{"it posts", "/", false, nil, nil, 202, "POST token"},
		{"so does its transport", "/", true, nil, nil, 202, "POST token"},
		{"it follows no redirect", "/away", false, nil, nil, 303, ""},
		{"its transport follows none to a refused address", "/away", true, dcr.ErrAddressRefused, nil, 0, ""},
		{"reading a body that is too large fails", "/large", true, nil, dcr.ErrAnswerRefused, 200, ""},
		{"an exchange is bounded in time", "/slow", true, nil, io.ErrUnexpectedEOF, 200, ""},
		{"a refused address is not reached", "https://10.0.0.1/", true, dcr.ErrAddressRefused, nil, 0, ""},
		{"an unreachable address has another error", "https://127.0.0.1:1/", true, dcr.ErrUnreachable, nil, 0, ""},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			url, guarded := site(t, answer)
			guarded.MaxBytes, guarded.PerHost = 100, 1
			if guarded.Timeout = 5 * time.Second; test.path == "/slow" {
				guarded.Timeout = 500 * time.Millisecond
			}
			client := guarded.HTTPClient()
			if test.alone {
				client = &http.Client{Transport: client.Transport}
			}
			if !strings.HasPrefix(test.path, "https:") {
				test.path = url + test.path
			}
			sent := &body{Reader: strings.NewReader("token")}
			res, err := client.Post(test.path, "text/plain", sent)
			if !errors.Is(err, test.err) || err != nil && !sent.closed {
				t.Fatalf("%v, closed: %v", err, sent.closed)
			}
			if err == nil {
				text, err := io.ReadAll(res.Body) // and the body is not closed
				if res.StatusCode != test.status || test.text != "" && string(text) != test.text {
					t.Errorf("got %d %q", res.StatusCode, text)
				}
				if slow := test.reading == io.ErrUnexpectedEOF; slow && err == nil || !slow && !errors.Is(err, test.reading) {
					t.Errorf("reading %q: %v, %v", text, err, res.Header)
				}
			}
			// No exchange is in flight any more.
			if _, err := guarded.Get(t.Context(), url, "*/*"); err == dcr.ErrBusy {
				t.Error("the exchange still counts")
			}
		})
	}
}

// A body that nobody reads or closes ends with the timeout.
func TestABodyThatNobodyClosesFreesItsPlace(t *testing.T) {
	url, guarded := site(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	})
	guarded.PerHost, guarded.Timeout = 1, time.Second
	if _, err := guarded.HTTPClient().Post(url, "text/plain", nil); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		_, err := guarded.Get(t.Context(), url, "*/*")
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

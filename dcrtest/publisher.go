package dcrtest

// OAuth Client ID Metadata Document: the documents that clients publish, and the
// servers that serve them.

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"embed"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dynreg/dcr"
)

// Document is a metadata document that a real-world client publishes, put together
// from public reports of 2026.
type Document struct {
	Name     string          // of the client, as its users know it
	ClientID string          // the URL of the document
	Metadata json.RawMessage // the document
}

//go:embed documents/*.json
var documents embed.FS

// Documents returns the known documents, those of Claude, Claude Code, VS Code and
// ChatGPT. Each call returns copies.
func Documents() []Document {
	known := make([]Document, 0, 4)
	for _, file := range []string{"claude", "claude-code", "vscode", "chatgpt"} {
		metadata, err := documents.ReadFile("documents/" + file + ".json")
		var named struct {
			ClientID   string `json:"client_id"`
			ClientName string `json:"client_name"`
		}
		if err == nil {
			err = json.Unmarshal(metadata, &named)
		}
		if err != nil {
			panic(err) // the file is embedded, or this does not compile
		}
		known = append(known, Document{named.ClientName, named.ClientID, metadata})
	}
	return known
}

// Misbehaviour is what a [Publisher] does instead of serving a document.
type Misbehaviour string

// What a publisher can do. Real servers do all of these.
const (
	Behaves      Misbehaviour = ""             // it serves the document
	Redirects    Misbehaviour = "redirects"    // 302
	Forbids      Misbehaviour = "forbids"      // 403, as protection against bots does
	Walls        Misbehaviour = "walls"        // 200, with a page of HTML
	Misses       Misbehaviour = "misses"       // 404
	Withdraws    Misbehaviour = "withdraws"    // 410
	Throttles    Misbehaviour = "throttles"    // 429
	Fails        Misbehaviour = "fails"        // 500
	HangsUp      Misbehaviour = "hangs up"     // the connection ends in the middle of the document
	Stalls       Misbehaviour = "stalls"       // the document never ends
	Floods       Misbehaviour = "floods"       // a document of 1 MiB
	Compresses   Misbehaviour = "compresses"   // gzip, although nobody asked for it
	Mistypes     Misbehaviour = "mistypes"     // text/plain
	Misspells    Misbehaviour = "misspells"    // client_id differs in its last byte
	Impersonates Misbehaviour = "impersonates" // the client_id of somebody else
	Breaks       Misbehaviour = "breaks"       // the body is not valid JSON
	Repeats      Misbehaviour = "repeats"      // client_id is there twice
)

// Publisher serves metadata documents over https on localhost, and misbehaves on
// demand. Create one with [NewPublisher].
type Publisher struct {
	server *httptest.Server
	roots  *x509.CertPool
	closed chan struct{}

	mu    sync.Mutex
	pages map[string]*published
}

// published is the state of one path.
type published struct {
	document     []byte
	cacheControl string
	misbehaviour Misbehaviour
	fetches      int
}

// NewPublisher returns a Publisher that serves until the test ends.
func NewPublisher(t testing.TB) *Publisher {
	t.Helper()
	certificate, roots := localhostCertificate(t)
	p := &Publisher{roots: roots, closed: make(chan struct{}), pages: make(map[string]*published)}
	p.server = httptest.NewUnstartedServer(p)
	p.server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	p.server.StartTLS()
	t.Cleanup(func() {
		close(p.closed)
		p.server.CloseClientConnections()
		p.server.Close()
	})
	return p
}

// localhostCertificate creates a certificate for localhost, and the pool that trusts it.
func localhostCertificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// Host returns the host and port of the publisher, such as "localhost:34567", for
// cimd.Hosts.
func (p *Publisher) Host() string {
	_, port, _ := strings.Cut(p.server.Listener.Addr().String(), ":")
	return "localhost:" + port
}

// Certificate returns the certificate of the publisher in PEM, for programs that
// must trust it.
func (p *Publisher) Certificate() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.TLS.Certificates[0].Certificate[0]})
}

// URL returns the URL of a path, which begins with a slash. It is a client_id.
func (p *Publisher) URL(path string) string { return "https://" + p.Host() + path }

// Fetch returns a client that trusts the publisher's certificate. Besides public
// addresses, it connects only to localhost.
func (p *Publisher) Fetch() *dcr.GuardedClient {
	return &dcr.GuardedClient{
		AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		PrivateHosts:  []string{"localhost"},
		RootCAs:       p.roots,
	}
}

// Publish serves a document at a path, which may have a query. The document must be
// a JSON object. Publish sets its client_id to the URL of the path and returns that
// URL. The path keeps its Misbehaviour.
func (p *Publisher) Publish(path string, document []byte) (clientID string) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(document, &members); err != nil {
		panic(fmt.Sprintf("dcrtest: Publish: %v", err))
	}
	clientID = p.URL(path)
	members["client_id"], _ = json.Marshal(clientID)
	// client_id comes first, because several misbehaviours change it there.
	text := fmt.Appendf(nil, `{"client_id":%s`, members["client_id"])
	delete(members, "client_id")
	for _, name := range slices.Sorted(maps.Keys(members)) {
		text = fmt.Appendf(text, ",%q:%s", name, members[name])
	}
	p.change(path, func(page *published) { page.document = append(text, '}') })
	return clientID
}

// CacheControl sets the Cache-Control header of a path; "" removes it.
func (p *Publisher) CacheControl(path, value string) {
	p.change(path, func(page *published) { page.cacheControl = value })
}

// Misbehave makes a path misbehave, or behave again.
func (p *Publisher) Misbehave(path string, how Misbehaviour) {
	p.change(path, func(page *published) { page.misbehaviour = how })
}

// Fetches returns how often a path was requested.
func (p *Publisher) Fetches(path string) (times int) {
	p.change(path, func(page *published) { times = page.fetches })
	return times
}

func (p *Publisher) change(path string, change func(*published)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pages[path] == nil {
		p.pages[path] = &published{}
	}
	change(p.pages[path])
}

// ServeHTTP answers a request according to the Misbehaviour of its path.
func (p *Publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var page published
	p.change(r.RequestURI, func(at *published) {
		at.fetches++
		page = *at
	})
	status := map[Misbehaviour]int{Redirects: http.StatusFound, Forbids: http.StatusForbidden, Misses: http.StatusNotFound, Withdraws: http.StatusGone, Throttles: http.StatusTooManyRequests, Fails: http.StatusInternalServerError}[page.misbehaviour]
	header := w.Header()
	header.Set("Content-Type", "application/json")
	if page.cacheControl != "" {
		header.Set("Cache-Control", page.cacheControl)
	}
	switch {
	case page.document == nil:
		http.NotFound(w, r)
		return
	case status != 0:
		header.Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}
	page.write(w, r, p.closed)
}

// write writes the document, or what replaces it.
func (page *published) write(w http.ResponseWriter, r *http.Request, closed <-chan struct{}) {
	header, document := w.Header(), page.document
	switch page.misbehaviour {
	case Walls:
		header.Set("Content-Type", "text/html; charset=utf-8")
		document = []byte("<!doctype html><title>Are you human?</title>")
	case Mistypes:
		header.Set("Content-Type", "text/plain")
	case Floods:
		document = slices.Concat(document[:len(document)-1], []byte(`,"padding":"`), bytes.Repeat([]byte("x"), 1<<20), []byte(`"}`))
	case Compresses:
		header.Set("Content-Encoding", "gzip")
		var small bytes.Buffer
		compressed := gzip.NewWriter(&small)
		compressed.Write(document)
		compressed.Close()
		document = small.Bytes()
	case Misspells:
		end := bytes.IndexByte(document, ',')
		document = slices.Concat(document[:end-1], []byte("x"), document[end-1:])
	case Impersonates:
		end := bytes.IndexByte(document, ',')
		document = slices.Concat([]byte(`{"client_id":"https://app.example.com/client"`), document[end:])
	case Breaks:
		document = document[:len(document)-1]
	case Repeats:
		end := bytes.IndexByte(document, ',')
		document = slices.Concat(document[:end], []byte(","), document[1:])
	case HangsUp, Stalls:
		header.Set("Content-Length", fmt.Sprint(len(document)))
		w.Write(document[:len(document)/2])
		http.NewResponseController(w).Flush()
		if page.misbehaviour == Stalls {
			select {
			case <-r.Context().Done():
			case <-closed:
			}
		}
		panic(http.ErrAbortHandler)
	}
	w.Write(document)
}

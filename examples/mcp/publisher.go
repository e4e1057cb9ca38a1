package main

// A client's web site, which publishes the client's metadata document.

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/dynreg/dcr"
)

type publisher struct {
	server      *http.Server
	document    string // the URL of the document, which is the client_id
	certificate *x509.Certificate
	port        uint16
}

// publish serves a metadata document on a port of https://localhost, with a
// certificate that only this program trusts.
func publish() (*publisher, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	p := &publisher{}
	if p.certificate, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p.port = netip.MustParseAddrPort(listener.Addr().String()).Port()
	p.document = fmt.Sprintf("https://localhost:%d/client.json", p.port)
	document, err := json.Marshal(map[string]any{
		"client_id": p.document, "client_name": "Example", "redirect_uris": []string{redirect}, "token_endpoint_auth_method": "none",
		"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /client.json", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(document)
	})
	p.server = &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
	}
	go p.server.ServeTLS(listener, "", "")
	return p, nil
}

// onThisMachine returns a client that fetches documents from the publisher. A real
// server needs none of this: documents are on public hosts, at port 443.
func (p *publisher) onThisMachine() *dcr.GuardedClient {
	roots := x509.NewCertPool()
	roots.AddCert(p.certificate)
	return &dcr.GuardedClient{
		RootCAs: roots, AllowPorts: []uint16{p.port},
		AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
	}
}

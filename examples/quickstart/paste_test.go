package main

import (
	"net/http"
	"strings"
	"testing"
)

// TestTheLineToPaste shows that the line registers a client under every preset, or that
// the program says what is missing.
func TestTheLineToPaste(t *testing.T) {
	directory := "-statement-issuer=directory=" + write(t, `{"keys":[]}`)
	for _, c := range []struct{ flags, missing string }{
		{"", ""},
		{"-open", ""},
		{"-preset=duende", ""},
		{"-preset=fapi2", ""},
		{"-preset=matrix", ""},
		{"-preset=mcp", ""},
		{"-preset=oidc", ""},
		{"-preset=ukopenbanking " + directory, "signed body"},
		{"-preset=openfinancebrasil " + directory, "client certificate"},
		{"-require-statement " + directory, "software_statement"},
		{"-capabilities=" + write(t, `{"grant_types_supported":["client_credentials"],"token_endpoint_auth_methods_supported":["client_secret_post"]}`), ""},
		{"-capabilities=" + write(t, `{"grant_types_supported":["client_credentials"],"token_endpoint_auth_methods_supported":["private_key_jwt"]}`), ""},
		{"-capabilities=" + write(t, `{"token_endpoint_auth_methods_supported":["tls_client_auth"]}`), ""},
	} {
		t.Run(c.flags, func(t *testing.T) {
			p := start(t, append([]string{"-db=memory:"}, strings.Fields(c.flags)...)...)
			if c.missing != "" {
				if p.line != "" || !strings.Contains(p.missing, c.missing) {
					t.Errorf("the line is %q, missing is %q", p.line, p.missing)
				}
				return
			}
			_, data, _ := strings.Cut(p.line, "-d '")
			if !strings.Contains(p.line, p.endpoint) || !strings.Contains(p.line, p.token) {
				t.Errorf("the line is %q", p.line)
			}
			p.register(t, strings.TrimSuffix(data, "'"))
		})
	}
}

func TestCORSFlag(t *testing.T) {
	for flag, allowed := range map[string]map[string]string{
		"-open":                         {"https://app.example.com": ""},
		"-cors":                         {"https://app.example.com": "*"},
		"-cors=https://app.example.com": {"https://app.example.com": "https://app.example.com", "https://evil.example": ""},
	} {
		p := start(t, "-db=memory:", "-open", flag)
		for origin, want := range allowed {
			r, err := http.NewRequest(http.MethodOptions, p.endpoint, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Origin", origin)
			r.Header.Set("Access-Control-Request-Method", "POST")
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if response.Body.Close(); response.Header.Get("Access-Control-Allow-Origin") != want {
				t.Errorf("%s: a page of %s: %v", flag, origin, response.Header)
			}
		}
	}
}

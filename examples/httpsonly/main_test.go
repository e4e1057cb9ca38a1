package main

import (
	"errors"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
)

func TestValidator(t *testing.T) { dcrtest.TestValidator(t, newValidator()) }

func TestOnlyHTTPSRedirectsAreAccepted(t *testing.T) {
	for uri, accepted := range map[string]bool{
		"https://app.example.com/callback": true,
		"http://127.0.0.1:8400/callback":   false,
		"com.example.app:/callback":        false,
	} {
		_, err := register(t, dcr.Metadata{RedirectURIs: []string{uri}})
		if accepted != (err == nil) || err != nil && !errors.Is(err, dcr.InvalidRedirectURI) {
			t.Errorf("%s: %v", uri, err)
		}
	}
}

func TestOnlyTheAuthorizationCodeGrantRemains(t *testing.T) {
	client, err := register(t, dcr.Metadata{
		RedirectURIs: []string{"https://app.example.com/callback"},
		GrantTypes:   []string{"authorization_code", "refresh_token"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(client.GrantTypes) != 1 || client.GrantTypes[0] != "authorization_code" {
		t.Errorf("grant_types: %q", client.GrantTypes)
	}
	if !client.RequirePKCE || client.AllowOfflineAccess || client.AccessTokenLifetime != 5*time.Minute {
		t.Errorf("the client's settings are not the host's: %+v", client)
	}
}

// register validates a registration without a server.
func register(t *testing.T, metadata dcr.Metadata) (*dcr.Client, error) {
	reg := &dcr.Registration{Request: &dcr.Request{Metadata: metadata}}
	err := dcr.Validate(t.Context(), newValidator(), reg)
	return reg.Client, err
}

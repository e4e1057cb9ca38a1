package main

import (
	"log/slog"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/examples/internal/providertest"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// serve serves the provider with a store, and returns its issuer.
func serve(t *testing.T, store dcr.ClientConfigurationStore, change func(*settings)) string {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	s := &settings{issuer: "http://" + server.Listener.Addr().String(), password: providertest.Password, fetch: &dcr.GuardedClient{}}
	if change != nil {
		change(s)
	}
	p, err := newProvider(s, store)
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = p.handler
	server.Start()
	t.Cleanup(server.Close)
	return s.issuer
}

// TestHost shows that dcrtest.TestHost finds no mistakes.
func TestHost(t *testing.T) {
	dcrtest.TestHost(t, dcrtest.Host{
		Start:     func(t *testing.T, store dcr.ClientConfigurationStore) string { return serve(t, store, nil) },
		Authorize: providertest.Allow,
		Scopes:    []string{"profile", "email"},
	})
}

func start(t *testing.T, store dcr.ClientConfigurationStore, wants providertest.Settings) string {
	t.Helper()
	return serve(t, store, func(s *settings) {
		s.preset, s.rotate, s.documents, s.fetch = wants.Preset, wants.Rotate, wants.Documents, wants.Fetch
	})
}

func TestProvider(t *testing.T) { providertest.Test(t, start) }

func TestChromium(t *testing.T) {
	providertest.Chromium(t, start, map[string]string{"home": "/", "sign out": "/logout"})
}

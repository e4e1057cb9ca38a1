package main

import (
	"net/http"
	"net/url"
	"testing"

	"golang.org/x/oauth2"

	"github.com/dynreg/dcr/examples/internal/providertest"
	"github.com/dynreg/dcr/memstore"
)

// A FAPI 2.0 client must push its requests, so it gets no code here.
func TestFAPI2RegistersOnly(t *testing.T) {
	issuer := serve(t, memstore.New(), func(s *settings) { s.preset = "fapi2" })
	a := providertest.Register(t, issuer, "private_key_jwt", nil)
	if a.Registered["require_pushed_authorization_requests"] != true || a.Registered["dpop_bound_access_tokens"] != true {
		t.Errorf("registered: %v", a.Registered)
	}
	if answer, _ := a.Code(providertest.NewBrowser(issuer), oauth2.S256ChallengeOption(oauth2.GenerateVerifier())); answer.Get("error") != "invalid_request" || answer.Get("code") != "" {
		t.Errorf("the answer is %v", answer)
	}
}

func TestLogoutWhileTheStoreIsDown(t *testing.T) {
	store := &providertest.Store{Store: memstore.New()}
	issuer := serve(t, store, nil)
	a, verifier := providertest.Register(t, issuer, "client_secret_basic", nil), oauth2.GenerateVerifier()
	answer, _ := a.Code(providertest.NewBrowser(issuer), oauth2.S256ChallengeOption(verifier))
	granted, err := a.Config().Exchange(t.Context(), answer.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	store.Down.Store(true)
	hint, _ := granted.Extra("id_token").(string)
	response, err := http.Get(issuer + "/end_session?" + url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {providertest.Callback}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d", response.StatusCode)
	}
}

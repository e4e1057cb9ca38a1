package main

// The line to paste: a registration that this server accepts with its current flags.

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/dynreg/dcr"
)

// application has members that most servers accept. The trials after the first are for
// servers that require more members, or others.
const application = `"client_name":"My Dynamic App","redirect_uris":["https://app.example.com/callback"],"grant_types":["authorization_code"],"scope":"openid profile"`

var trials = []string{
	`{` + application + `}`,
	`{` + application + `,"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://app.example.com/jwks"}`,
	`{"client_name":"My Dynamic App","client_uri":"https://app.example.com/","redirect_uris":["https://app.example.com/callback"],"grant_types":["authorization_code","refresh_token"],"token_endpoint_auth_method":"none"}`,
	`{` + application + `,"token_endpoint_auth_method":"tls_client_auth","tls_client_auth_san_dns":"app.example.com"}`,
	`{"client_name":"My Dynamic App","grant_types":["client_credentials"]}`,
	`{"client_name":"My Dynamic App","grant_types":["client_credentials"],"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://app.example.com/jwks"}`,
	`{"client_name":"My Dynamic App","grant_types":["urn:ietf:params:oauth:grant-type:device_code"],"token_endpoint_auth_method":"none"}`,
}

// instructions says how to register a client, or why there is no line to paste.
func (s *settings) instructions(ctx context.Context, bearer string) string {
	body, err := s.acceptable(ctx)
	if err != nil {
		return fmt.Sprintf("there is no line to paste, because a registration needs more here: %v", err)
	}
	line := fmt.Sprintf("register a client:\n  curl -s '%s' %s-H 'Content-Type: application/json' -d '%s'", s.options.Endpoint, bearer, body)
	if s.accessTokens.Issuer != "" {
		line += "\nwhere $TOKEN is an access token of " + s.accessTokens.Issuer + " for " + s.accessTokens.Audience
	}
	return line
}

// acceptable returns the first trial that the validator accepts. If there is none, it
// returns why the first one is refused.
func (s *settings) acceptable(ctx context.Context) (body string, refused error) {
	if decoders := s.options.Validator.Decoders(); decoders != nil && decoders["application/json"] == nil {
		return "", errors.New("a signed body, with a key that the client's directory knows")
	}
	for _, body := range trials {
		request, err := dcr.ParseRequest([]byte(body), s.options.Limits)
		if err != nil {
			return "", err
		}
		asked, err := http.NewRequestWithContext(ctx, http.MethodPost, s.options.Endpoint, nil)
		if err != nil {
			return "", err
		}
		err = dcr.Validate(ctx, s.options.Validator, &dcr.Registration{Request: request, HTTP: asked})
		if err == nil {
			return body, nil
		}
		if refused == nil {
			refused = err
		}
	}
	if shown := (*dcr.Error)(nil); errors.As(refused, &shown) {
		refused = errors.New(shown.Description)
	}
	return "", refused
}

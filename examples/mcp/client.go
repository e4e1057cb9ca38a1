package main

// A client made with the official SDK. It knows only the URL of the MCP server.

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

// redirect has an arbitrary port: a native client may use any (RFC 8252 §7.3).
const redirect = "http://127.0.0.1:51000/callback"

// registering returns the configuration of a client that registers with a name.
func registering(name string) *auth.AuthorizationCodeHandlerConfig {
	return &auth.AuthorizationCodeHandlerConfig{
		RedirectURL: redirect,
		DynamicClientRegistrationConfig: &auth.DynamicClientRegistrationConfig{Metadata: &oauthex.ClientRegistrationMetadata{
			ClientName: name, RedirectURIs: []string{redirect}, GrantTypes: []string{"authorization_code", "refresh_token"}, TokenEndpointAuthMethod: "none",
		}},
	}
}

// publishing returns the configuration of a client that publishes a document.
func publishing(document string) *auth.AuthorizationCodeHandlerConfig {
	return &auth.AuthorizationCodeHandlerConfig{
		RedirectURL:                    redirect,
		ClientIDMetadataDocumentConfig: &auth.ClientIDMetadataDocumentConfig{URL: document},
	}
}

// call connects to an MCP server, gets a token as the server demands, and calls its
// tool. All requests go through transport.
func call(ctx context.Context, server string, config *auth.AuthorizationCodeHandlerConfig, transport http.RoundTripper) (string, error) {
	config.Client = &http.Client{Transport: transport}
	config.AuthorizationCodeFetcher = func(ctx context.Context, to *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
		return consent(ctx, to.URL, transport)
	}
	handler, err := auth.NewAuthorizationCodeHandler(config)
	if err != nil {
		return "", err
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "example", Version: "1"}, nil)
	session, err := client.Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint: server, HTTPClient: config.Client, OAuthHandler: handler, DisableStandaloneSSE: true,
	}, nil)
	if err != nil {
		return "", err
	}
	defer session.Close()
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "greet", Arguments: map[string]any{"language": "de"}})
	if err != nil {
		return "", err
	}
	for _, content := range result.Content {
		if text, ok := content.(*mcp.TextContent); ok && !result.IsError {
			return text.Text, nil
		}
	}
	return "", errors.New("the tool returned no text")
}

// consent stands for the browser and the person, who presses Allow. A real client
// opens the URL in a browser and listens at its redirect URI.
func consent(ctx context.Context, page string, transport http.RoundTripper) (*auth.AuthorizationResult, error) {
	browser := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	shown, err := browser.Get(page)
	if err != nil {
		return nil, err
	}
	shown.Body.Close()
	pressed, err := browser.PostForm(page, url.Values{"answer": {"yes"}})
	if err != nil {
		return nil, err
	}
	pressed.Body.Close()
	back, err := pressed.Location()
	if err != nil {
		return nil, fmt.Errorf("the authorization server answered %s", pressed.Status)
	}
	answer := back.Query()
	if refused := answer.Get("error"); refused != "" {
		return nil, errors.New("refused: " + refused)
	}
	return &auth.AuthorizationResult{Code: answer.Get("code"), State: answer.Get("state"), Iss: answer.Get("iss")}, nil
}

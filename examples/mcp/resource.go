package main

// The protected MCP server. It accepts only tokens that are for it.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

// newResource returns the MCP server whose URL is resource. Its metadata (RFC 9728)
// names the issuer. The answer to a request without a token says where the metadata is.
func newResource(resource, issuer, secret string, scopes []string) http.Handler {
	metadata, _ := url.Parse(resource)
	path := "/.well-known/oauth-protected-resource" + metadata.Path
	metadata.Path = path

	server := mcp.NewServer(&mcp.Implementation{Name: "greeter", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "greet", Description: "Greets the person whose token this is."}, greet)
	protected := auth.RequireBearerToken(introspection{resource, issuer, secret}.verify, &auth.RequireBearerTokenOptions{
		ResourceMetadataURL: metadata.String(), Scopes: scopes,
	})
	mux := http.NewServeMux()
	mux.Handle("/mcp", protected(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil)))
	mux.Handle(path, auth.ProtectedResourceMetadataHandler(&oauthex.ProtectedResourceMetadata{
		Resource: resource, AuthorizationServers: []string{issuer}, ScopesSupported: scopes, BearerMethodsSupported: []string{"header"},
	}))
	return mux
}

type greeting struct {
	Language string `json:"language" jsonschema:"the language to greet in, en or de"`
}

func greet(ctx context.Context, request *mcp.CallToolRequest, asked greeting) (*mcp.CallToolResult, any, error) {
	hello := "Hello"
	if asked.Language == "de" {
		hello = "Guten Tag"
	}
	text := fmt.Sprintf("%s, %s!", hello, request.Extra.TokenInfo.UserID)
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
}

// introspection asks the authorization server about tokens (RFC 7662).
type introspection struct{ resource, issuer, secret string }

// verify accepts a token that is active and for this resource. The person did not
// consent to the use of other tokens here (RFC 8707 §2).
func (i introspection) verify(ctx context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
	form := strings.NewReader(url.Values{"token": {token}}.Encode())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, i.issuer+"/introspect", form)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth("greeter", i.secret)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, errors.New("the authorization server answered " + response.Status)
	}
	var about struct {
		Active   bool     `json:"active"`
		Subject  string   `json:"sub"`
		Scope    string   `json:"scope"`
		Audience []string `json:"aud"`
		Ends     int64    `json:"exp"`
	}
	if err := json.NewDecoder(response.Body).Decode(&about); err != nil {
		return nil, err
	}
	if !about.Active || !slices.Contains(about.Audience, i.resource) {
		return nil, fmt.Errorf("the token is not for %s: %w", i.resource, auth.ErrInvalidToken)
	}
	return &auth.TokenInfo{UserID: about.Subject, Scopes: strings.Fields(about.Scope), Expiration: time.Unix(about.Ends, 0)}, nil
}

package dcrtest

// Real-world clients, and which of them a server can serve.

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

// Client is a real-world client: what it sends to register, and what it needs in
// the answer. The requests were put together from public reports of 2025 and 2026.
type Client struct {
	Name    string          // as its users know it
	Preset  string          // the preset of package policy that fits it: MCP, Duende or Matrix
	Request json.RawMessage // the body of its registration request
	Methods []string        // each token_endpoint_auth_method that it can use
	Grants  []string        // the grant types that it needs
}

//go:embed clients/*.json
var clientRequests embed.FS

// The methods and grant types of several clients. Those on the MCP TypeScript SDK
// can use anySecret.
var (
	anySecret  = []string{"none", "client_secret_post", "client_secret_basic"}
	publicOnly = []string{"none"}
	secretOnly = []string{"client_secret_basic", "client_secret_post"}
	codeFlow   = []string{"authorization_code"}
)

var clients = []struct {
	file, name, preset string
	methods, grants    []string
}{
	{"claude-ai", "Claude", "MCP", []string{"client_secret_post", "none"}, codeFlow},
	{"claude-code", "Claude Code", "MCP", anySecret, codeFlow},
	{"chatgpt", "ChatGPT", "MCP", anySecret, codeFlow},
	{"cursor", "Cursor", "MCP", anySecret, codeFlow},
	{"vscode", "VS Code", "MCP", publicOnly, codeFlow},
	{"copilot-cli", "Copilot CLI", "MCP", publicOnly, codeFlow},
	{"gemini-cli", "Gemini CLI", "MCP", anySecret, codeFlow},
	{"lm-studio", "LM Studio", "MCP", publicOnly, codeFlow},
	{"open-webui", "Open WebUI", "MCP", []string{"none", "client_secret_post"}, codeFlow},
	{"windsurf", "Windsurf", "MCP", publicOnly, codeFlow},
	{"mcp-remote", "mcp-remote", "MCP", anySecret, codeFlow},
	{"mcp-inspector", "MCP Inspector", "MCP", anySecret, codeFlow},
	{"resource-sender", "an agent that sends unregistered members, null and empty strings", "MCP", publicOnly, codeFlow},
	{"copilot-365", "Microsoft 365 Copilot", "MCP", secretOnly, codeFlow},
	{"copilot-studio", "Copilot Studio", "MCP", secretOnly, codeFlow},
	{"duende-web", "Duende web application", "Duende", []string{"client_secret_basic"}, codeFlow},
	{"duende-native-pkce", "Duende native application", "Duende", publicOnly, codeFlow},
	{"duende-m2m", "Duende pipeline", "Duende", []string{"client_secret_basic", "client_secret_post"}, []string{"client_credentials"}},
	{"matrix", "Matrix client", "Matrix", publicOnly, []string{"authorization_code", "refresh_token"}},
}

// Clients returns the known clients, each with its own copy of the request.
func Clients() []Client {
	known := make([]Client, len(clients))
	for i, c := range clients {
		request, err := clientRequests.ReadFile("clients/" + c.file + ".json")
		if err != nil {
			panic(err) // the file is embedded, or this does not compile
		}
		known[i] = Client{Name: c.name, Preset: c.preset, Request: request, Methods: c.methods, Grants: c.grants}
	}
	return known
}

// TestClients tests which clients can register at a server and use its answer,
// and says why others cannot. It registers each client at the handler, in a
// subtest with the client's name. Without clients, it tests those of the Model
// Context Protocol, such as Claude, ChatGPT, Cursor and VS Code.
//
//	func TestWhichClientsRegister(t *testing.T) {
//		dcrtest.TestClients(t, handler)
//	}
//
// The requests go to the handler's root and have no token, like those of the
// real clients. For a handler behind a mux, use [At].
func TestClients(t *testing.T, handler http.Handler, clients ...Client) {
	t.Helper()
	if len(clients) == 0 {
		clients = slices.DeleteFunc(Clients(), func(c Client) bool { return c.Preset != "MCP" })
	}
	for _, client := range clients {
		t.Run(client.Name, func(t *testing.T) {
			if err := client.Register(handler); err != nil {
				t.Error(err)
			}
		})
	}
}

// At returns a handler that serves every request at path.
func At(path string, handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.Clone(r.Context())
		r.URL.Path, r.URL.RawPath, r.RequestURI = path, "", path
		handler.ServeHTTP(w, r)
	})
}

// Register registers the client at the handler's root. It returns an error if
// the client is refused or cannot use the answer.
func (c Client) Register(handler http.Handler) error {
	request := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(c.Request))
	request.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	return c.Read(Answer{Request: c.Request, Status: recorder.Code, Header: recorder.Header(), Body: recorder.Body.Bytes()})
}

// Read returns an error if the client cannot use an answer to its request. The
// answer must also pass [ReadOAuth4webapi], [ReadMCPTypeScript] and [ReadMCPGo],
// because most clients are built on these libraries.
func (c Client) Read(answer Answer) error {
	if answer.Status != http.StatusCreated {
		return fmt.Errorf("%s could not register: %w", c.Name, answer.refusal())
	}
	for _, reader := range []func(Answer) error{ReadOAuth4webapi, ReadMCPTypeScript, ReadMCPGo, c.usable} {
		if err := reader(answer); err != nil {
			return fmt.Errorf("%s could register, but not use the answer: %w", c.Name, err)
		}
	}
	return nil
}

// usable checks that the answer has what this client needs.
func (c Client) usable(answer Answer) error {
	var asked, got struct {
		RedirectURIs []string `json:"redirect_uris"`
		GrantTypes   []string `json:"grant_types"`
		Method       string   `json:"token_endpoint_auth_method"`
		Secret       string   `json:"client_secret"`
	}
	if err := json.Unmarshal(c.Request, &asked); err != nil {
		return err
	}
	if err := json.Unmarshal(answer.Body, &got); err != nil {
		return err
	}
	for _, redirect := range asked.RedirectURIs {
		if !slices.Contains(got.RedirectURIs, redirect) {
			return fmt.Errorf("redirect_uris lacks %s", redirect)
		}
	}
	for _, grant := range c.Grants {
		if !slices.Contains(got.GrantTypes, grant) {
			return fmt.Errorf("grant_types lacks %s", grant)
		}
	}
	switch public := got.Method == "none"; {
	case !slices.Contains(c.Methods, got.Method):
		return fmt.Errorf("token_endpoint_auth_method is %q, and the client supports %q", got.Method, c.Methods)
	case public && got.Secret != "":
		return fmt.Errorf("client_secret is present with token_endpoint_auth_method none")
	case !public && got.Secret == "":
		return fmt.Errorf("client_secret is missing with token_endpoint_auth_method %s", got.Method)
	}
	return nil
}

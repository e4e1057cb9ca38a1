package spec_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
)

// TestAClientKeepsNoBody checks that a store that keeps Clients, and not their
// stored form, does not keep the bodies of their requests in memory.
func TestAClientKeepsNoBody(t *testing.T) {
	const count, most = 200, 8 << 10 // bytes for each, of bodies of 60,000
	tagged := dcr.NewField[string]("nickname").Localized()
	validator := dcr.DefaultValidator{
		Extensions: []dcr.Extension{tagged}, Supports: dcr.Capabilities{IDTokenSigningAlgs: []string{"RS256"}},
	}
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	clients := make([]*dcr.Client, 0, count)
	before := heap()
	for i := range count {
		body := fmt.Appendf(nil, `{"client_name":"App %d","client_name#de":"Anwendung","contacts":["a@example.com"],"scope":"openid",
			"redirect_uris":["https://app.example.com/callback"],"nickname":"A","nickname#de":"B","id_token_signed_response_alg":"RS256","unknown":"%s"}`,
			i, strings.Repeat("x", 60_000))
		request, err := dcr.ParseRequest(body, dcr.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		reg := &dcr.Registration{Request: request}
		if err := dcr.Validate(t.Context(), validator, reg); err != nil {
			t.Fatal(err)
		}
		clients = append(clients, reg.Client)
	}
	if each := (heap() - before) / count; each > most {
		t.Errorf("a client keeps %d bytes", each)
	}
	if len(clients[0].Localized) != 1 || len(clients[0].Extra) != 2 {
		t.Errorf("the client has %v and %v", clients[0].Localized, clients[0].Extra)
	}
	runtime.KeepAlive(clients)
}

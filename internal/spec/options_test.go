package spec_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

func TestOptionsThatCouldNeverWork(t *testing.T) {
	lets := func(*dcr.Caller, *dcr.Client) bool { return true }
	for _, c := range []struct {
		sentence string
		opts     dcr.Options
		says     string // "" if the options are fine
	}{
		{"an endpoint may have a query", dcr.Options{Endpoint: endpoint + "?tenant=a"}, ""},
		{"an endpoint that names a client", dcr.Options{Endpoint: endpoint + "?tenant=a&client_id=b"}, "leave client_id out"},
		{"an endpoint that names an empty client", dcr.Options{Endpoint: endpoint + "?client_id"}, "leave client_id out"},
		{"an endpoint that names a client by an escaped name", dcr.Options{Endpoint: endpoint + "?client%5Fid=b"}, "leave client_id out"},
		{"an endpoint whose query is malformed", dcr.Options{Endpoint: endpoint + "?a;b"}, "leave the query out"},
		{"an endpoint with a fragment", dcr.Options{Endpoint: endpoint + "#a"}, "Options.Endpoint must not have a fragment"},
		{"an endpoint with an empty fragment", dcr.Options{Endpoint: endpoint + "#"}, "Options.Endpoint must not have a fragment"},
		{"management by callers, without ManageAs", dcr.Options{Endpoint: endpoint, ManageByCallerOnly: true}, "set ManageAs"},
		{"management by callers, and off", dcr.Options{Endpoint: endpoint, ManageByCallerOnly: true, ManageAs: lets, DisableManagement: true}, "DisableManagement"},
		{"management by callers, with tokens that rotate", dcr.Options{Endpoint: endpoint, ManageByCallerOnly: true, ManageAs: lets, RotateRegistrationToken: true}, "RotateRegistrationToken"},
		{"management by callers", dcr.Options{Endpoint: endpoint, ManageByCallerOnly: true, ManageAs: lets}, ""},
		{"a policy with management by callers, without ManageAs", dcr.Options{Endpoint: endpoint, Policies: map[string]dcr.Validator{"a": dcr.DefaultValidator{ManageByCallerOnly: true}}}, "set ManageAs"},
		{"a policy without a name", dcr.Options{Endpoint: endpoint, Policies: map[string]dcr.Validator{"": dcr.DefaultValidator{}}}, "give it another name"},
		{"a policy with management by callers, and management is off", dcr.Options{Endpoint: endpoint, DisableManagement: true, Validator: dcr.DefaultValidator{ManageByCallerOnly: true}}, ""},
		{"registration without management", dcr.Options{Endpoint: endpoint, DisableManagement: true}, ""},
		{"tokens that rotate without management", dcr.Options{Endpoint: endpoint, DisableManagement: true, RotateRegistrationToken: true}, "leave them false"},
		{"secrets that rotate without management", dcr.Options{Endpoint: endpoint, DisableManagement: true, RotateSecret: true}, "leave them false"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			c.opts.Logger = slog.New(slog.DiscardHandler)
			_, err := dcr.NewHandler(memstore.New(), &c.opts)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

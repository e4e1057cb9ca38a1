package spec_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/extension"
)

// followed has the members whose URL the server fetches or calls, each with
// what else a client with it needs.
var followed = map[string]string{
	"jwks_uri":               ``,
	"backchannel_logout_uri": ``,
	"backchannel_client_notification_endpoint": `,"grant_types":["authorization_code","urn:openid:params:grant-type:ciba"],"backchannel_token_delivery_mode":"ping"`,
	"spiffe_bundle_endpoint":                   ``,
	"signed_jwks_uri":                          ``,
}

const follower = `{"id_token_signing_alg_values_supported":["RS256"],"subject_types_supported":["public","pairwise"],"backchannel_logout_supported":true,
	"grant_types_supported":["authorization_code","urn:openid:params:grant-type:ciba"],"backchannel_token_delivery_modes_supported":["ping"]}`

// A URL that the GuardedClient can never reach is refused at registration.
func TestURLsThatAreNeverReached(t *testing.T) {
	never := []string{
		"https://localhost/x", "https://a.localhost/x", "https://127.0.0.1/x", "https://127.9.9.9/x", "https://[::1]/x", "https://10.0.0.5/x", "https://192.168.1.1/x",
		"https://169.254.169.254/latest", "https://100.64.0.1/x", "https://0.0.0.0/x", "https://[fd00::1]/x", "https://[fe80::1]/x", "https://LOCALHOST:8443/x",
	}
	public := []string{"https://rp.example.com/x", "https://8.8.8.8/x", "https://localhost.example.com/x"}
	const otherPort = "https://rp.example.com:8443/x"
	extensions := extended(append(extension.SPIFFE(), extension.Federation()...)...)
	fetching := func(fetch *dcr.GuardedClient) change {
		return func(v *dcr.DefaultValidator, _ *dcr.Options) { v.Fetch = fetch }
	}
	cases := func(member, also string, code dcr.Code, urls ...string) (list []wireCase) {
		for _, url := range urls {
			says := ""
			if code != "" {
				says = member + " must "
			}
			list = append(list, wireCase{sentence: member + " " + url, request: `{"` + member + `":"` + url + `"` + also + `}`, code: code, says: says})
		}
		return list
	}
	for member, also := range followed {
		r := start(t, follower, extensions)
		r.judge(t, cases(member, also, dcrMetadata, never...))
		r.judge(t, cases(member, also, "", append(public, otherPort)...))

		ports := start(t, follower, extensions, fetching(&dcr.GuardedClient{AllowPorts: []uint16{9443}}))
		ports.judge(t, cases(member, also, dcrMetadata, otherPort, "https://8.8.8.8:8443/x"))
		ports.judge(t, cases(member, also, "", "https://rp.example.com:9443/x"))

		private := start(t, follower, extensions, fetching(&dcr.GuardedClient{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, PrivateHosts: []string{"10.0.0.5", "rp.internal"}}))
		private.judge(t, cases(member, also, "", "https://10.0.0.5:8443/x", "https://rp.internal:8443/x"))
		private.judge(t, cases(member, also, dcrMetadata, "https://10.0.0.6/x", "https://192.168.1.1/x", "https://rp.example.com:8443/x", "https://localhost/x"))

		client := r.register(t, request(t, `{"`+member+`":"`+public[0]+`"`+also+`}`))
		answered(t, r.manage(t, "PUT", client, client.update(map[string]any{member: never[0]})), 400, dcrMetadata)
	}
	for _, url := range never {
		answered(t, start(t, follower).post(t, request(t, `{"sector_identifier_uri":"`+url+`"}`)), 400, dcrMetadata)
	}
}

func TestGuardedClientCheck(t *testing.T) {
	var fetch *dcr.GuardedClient
	for _, url := range []string{"http://rp.example.com/", "https://localhost/", "https://10.0.0.1/", "https://rp.example.com:8443/", "https://me@rp.example.com/", "https:", ""} {
		if err := fetch.Check(url); !errors.Is(err, dcr.ErrAddressRefused) {
			t.Errorf("%s: %v", url, err)
		}
	}
	if err := fetch.Check("https://rp.example.com/jwks"); err != nil {
		t.Error(err)
	}
}

package policy_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/policy"
)

// Refusals keep the ids that logs have.
func TestDuendeRefusals(t *testing.T) {
	v := policy.Stack(openServer, policy.DuendeMembers(policy.DuendeLimits{AllowIdentityProviders: true}))
	long := strings.Repeat("x", 1025)
	for _, c := range []struct {
		request object
		rule    string
	}{
		{object{"access_token_lifetime": 3601}, "access_token_lifetime.ceiling"},
		{object{"absolute_refresh_token_lifetime": 0}, "absolute_refresh_token_lifetime.ceiling"},
		{object{"access_token_lifetime": "x"}, "access_token_lifetime.type"},
		{object{"access_token_type": "jwt"}, "access_token_type.value"},
		{object{"require_client_secret": true, "token_endpoint_auth_method": "none"}, "require_client_secret.none"},
		{object{"require_client_secret": true, "token_endpoint_auth_method": nil, "token_endpoint_auth_methods_supported": []string{"none"}}, "require_client_secret.none"},
		{object{"require_client_secret": true, "token_endpoint_auth_method": nil, "token_endpoint_auth_methods_supported": []string{"other"}}, "require_client_secret.none"},
		{object{"require_client_secret": true, "token_endpoint_auth_method": nil, "token_endpoint_auth_methods_supported": []string{"none", "client_secret_post"}}, ""},
		{object{"require_client_secret": false, "grant_types": []string{"client_credentials"}}, "require_client_secret.client_credentials"},
		{object{"require_client_secret": 1}, "require_client_secret.type"},
		{object{"refresh_token_usage": "ReUse", "token_endpoint_auth_method": "none"}, "refresh_token_usage.public"},
		{object{"allowed_cors_origins": []string{"http://a.example"}}, "allowed_cors_origins.form"},
		{object{"allowed_identity_token_signing_algorithms": []string{"EdDSA"}}, "allowed_identity_token_signing_algorithms.unsupported"},
		{object{"identity_provider_restrictions": []string{long}}, "identity_provider_restrictions.length"},
		{object{"identity_provider_restrictions": strings.Split(long[:65], "")}, "identity_provider_restrictions.items"},
		{object{"identity_provider_restrictions": []string{""}}, "identity_provider_restrictions.type"},
	} {
		_, err := judge(t, v, with(duendeClient, c.request), nil)
		refused := (*dcr.Error)(nil)
		errors.As(err, &refused)
		if refused == nil && c.rule != "" || refused != nil && (refused.Rule != c.rule || refused.Code != dcr.InvalidClientMetadata || refused.Member == "") {
			t.Errorf("%s: %+v, want %q", asJSON(c.request), refused, c.rule)
		}
	}
}

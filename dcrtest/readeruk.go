package dcrtest

// UK Open Banking Dynamic Client Registration 3.3, as its conformance suite reads
// answers.

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// The schema of a registration in UK Open Banking 3.3.
var (
	ukMethods        = []string{"private_key_jwt", "client_secret_jwt", "client_secret_basic", "client_secret_post", "tls_client_auth"}
	ukGrants         = []string{"client_credentials", "authorization_code", "refresh_token", "urn:openid:params:grant-type:ciba", "urn:ietf:params:oauth:grant-type:jwt-bearer"}
	ukResponseTypes  = []string{"code", "code id_token"}
	ukApplications   = []string{"web", "mobile", "native"}
	ukSoftwareID     = regexp.MustCompile(`^[0-9A-Za-z]{1,22}$`)
	ukSigningMethods = []string{"private_key_jwt", "client_secret_jwt"}
)

// ReadOpenBankingUK reads an answer as strictly as OpenBankingUK's conformance
// suite. The answer is that of a registration (201) or of a later read (200).
func ReadOpenBankingUK(a Answer) error {
	if a.Status != http.StatusCreated && a.Status != http.StatusOK {
		return fmt.Errorf("OpenBankingUK: %w", a.refusal())
	}
	members, err := a.object()
	if err != nil {
		return fmt.Errorf("OpenBankingUK: %w", err)
	}
	text := func(name string) string { value, _ := members[name].(string); return value }
	within := func(name string, most int) bool {
		value := text(name)
		return value != "" && len(value) <= most
	}
	absentOr := func(name string, valid bool) bool { return members[name] == nil || valid }
	method := text("token_endpoint_auth_method")
	for _, check := range []struct {
		member string
		valid  bool
	}{
		{"client_id", within("client_id", 36)},
		{"client_secret", absentOr("client_secret", within("client_secret", 36))},
		{"token_endpoint_auth_method", slices.Contains(ukMethods, method)},
		{"grant_types", subset(members["grant_types"], ukGrants)},
		{"response_types", absentOr("response_types", subset(members["response_types"], ukResponseTypes))},
		{"application_type", slices.Contains(ukApplications, text("application_type"))},
		{"software_id", absentOr("software_id", ukSoftwareID.MatchString(text("software_id")))},
		{"scope", within("scope", 256)},
		{"software_statement", text("software_statement") != ""},
		{"id_token_signed_response_alg", within("id_token_signed_response_alg", 5)},
		{"request_object_signing_alg", within("request_object_signing_alg", 5)},
		{"token_endpoint_auth_signing_alg", !slices.Contains(ukSigningMethods, method) || within("token_endpoint_auth_signing_alg", 5)},
		{"tls_client_auth_subject_dn", method != "tls_client_auth" || within("tls_client_auth_subject_dn", 128)},
		{"client_id_issued_at", absentOr("client_id_issued_at", whole(members["client_id_issued_at"]))},
		{"client_secret_expires_at", absentOr("client_secret_expires_at", whole(members["client_secret_expires_at"]))},
	} {
		if !check.valid {
			return fmt.Errorf("OpenBankingUK: %s is missing or violates the schema: %v", check.member, members[check.member])
		}
	}
	return ukRedirects(members["redirect_uris"])
}

// subset reports whether value is an array of strings that are all in allowed.
func subset(value any, allowed []string) bool {
	list, ok := texts(value)
	return ok && !slices.ContainsFunc(list, func(entry string) bool { return !slices.Contains(allowed, entry) })
}

func ukRedirects(value any) error {
	redirects, ok := texts(value)
	if !ok {
		return errors.New("OpenBankingUK: redirect_uris is not an array of strings")
	}
	for _, redirect := range redirects {
		parsed, err := url.Parse(redirect)
		if err != nil || parsed.Scheme != "https" || parsed.Fragment != "" || len(redirect) > 256 ||
			parsed.Hostname() == "localhost" || parsed.Hostname() == "127.0.0.1" || strings.HasSuffix(parsed.Hostname(), ".localhost") {
			return fmt.Errorf("OpenBankingUK: redirect_uris has %s, which is not allowed", redirect)
		}
	}
	return nil
}

package spec_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/dynreg/dcr"
)

func TestWriteInvalidClient(t *testing.T) {
	outage := errors.New("connection refused")
	for _, c := range []struct {
		name, authorization string
		err                 error
		status              int
		code, challenge     string
		retry               bool
	}{
		{"unknown, by Basic", "Basic Zm9vOmJhcg==", dcr.ErrClientNotFound, 401, "invalid_client", `Basic realm="token endpoint"`, false},
		{"unknown, by basic in lower case", "basic Zm9vOmJhcg==", dcr.ErrClientNotFound, 401, "invalid_client", `Basic realm="token endpoint"`, false},
		{"unknown, by another scheme", "Custom x", dcr.ErrClientNotFound, 401, "invalid_client", `Custom realm="token endpoint"`, false},
		{"unknown, in the body", "", dcr.ErrClientNotFound, 401, "invalid_client", `Basic realm="token endpoint"`, false},
		{"unknown, with an invalid header", "\"evil\", x", dcr.ErrClientNotFound, 401, "invalid_client", `Basic realm="token endpoint"`, false},
		{"unknown, in a wrapped error", "", fmt.Errorf("find: %w", dcr.ErrClientNotFound), 401, "invalid_client", `Basic realm="token endpoint"`, false},
		{"known, with a wrong secret", "Basic Zm9vOmJhcg==", nil, 401, "invalid_client", `Basic realm="token endpoint"`, false},
		{"disabled", "Basic Zm9vOmJhcg==", dcr.ErrClientDisabled, 401, "invalid_client", `Basic realm="token endpoint"`, false},
		{"expired", "Basic Zm9vOmJhcg==", dcr.ErrClientExpired, 401, "invalid_client", `Basic realm="token endpoint"`, false},
		{"pending, after it was authenticated", "Basic Zm9vOmJhcg==", dcr.ErrClientPending, 400, "access_denied", "", false},
		{"a metadata document that is refused", "", fmt.Errorf("find: %w", dcr.Errorf(dcr.InvalidClient, "its client_id is another")), 401, "invalid_client", `Basic realm="token endpoint"`, false},
		{"a refusal with another code", "", dcr.Errorf(dcr.AccessDenied, "not from there"), 403, "access_denied", "", false},
		{"an outage with a description", "", dcr.Unavailable("the list is out of order", outage), 503, "temporarily_unavailable", "", true},
		{"an outage", "Basic Zm9vOmJhcg==", outage, 503, "temporarily_unavailable", "", true},
		{"a cancelled request", "", context.Canceled, 503, "temporarily_unavailable", "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/connect/token", nil)
			if c.authorization != "" {
				r.Header.Set("Authorization", c.authorization)
			}
			w := httptest.NewRecorder()
			dcr.WriteInvalidClient(w, r, c.err)
			body := decode(t, w.Body.String())
			header := w.Header()
			if w.Code != c.status || body["error"] != c.code || body["error_description"] == "" {
				t.Errorf("got %d %v", w.Code, body)
			}
			if header.Get("WWW-Authenticate") != c.challenge || (header.Get("Retry-After") != "") != c.retry {
				t.Errorf("headers %v", header)
			}
			if header.Get("Cache-Control") != "no-store" || header.Get("Content-Type") != "application/json" {
				t.Errorf("headers %v", header)
			}
		})
	}
}

package zitadeloidc

// RFC 6749 §4.1.2, RFC 9207, OAuth 2.0 Form Post Response Mode: authorization responses.

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"html/template"
	"log/slog"
	"net/http"

	httphelper "github.com/zitadel/oidc/v3/pkg/http"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/dynreg/dcr"
)

// issuerEncoder adds iss to authorization responses.
type issuerEncoder struct {
	httphelper.Encoder
	issuer string
}

func (e issuerEncoder) Encode(response any, into map[string][]string) error {
	into["iss"] = []string{e.issuer}
	return e.Encoder.Encode(response, into)
}

// answer sends a code to the client when the request is done, unless the client has lost
// the redirect URI while the person signed in.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	storage := s.Provider().Storage()
	request, err := storage.AuthRequestByID(r.Context(), r.FormValue("id"))
	if err != nil {
		op.WriteError(w, r, unavailable(err, oidc.ErrInvalidRequest().WithParent(err).WithDescription("this authorization request has expired")), nil)
		return
	}
	found, err := storage.GetClientByClientID(r.Context(), request.GetClientID())
	if err != nil {
		op.WriteError(w, r, unavailable(err, oidc.ErrInvalidRequest().WithParent(err).WithDescription("the application cannot be used")), nil)
		return
	}
	if client, ok := found.(interface{ registered() *dcr.Client }); ok && !client.registered().MatchRedirectURI(request.GetRedirectURI()) {
		op.WriteError(w, r, oidc.ErrInvalidRequest().WithDescription("the application has changed; go back to it and start again"), nil)
		return
	}
	if !request.Done() {
		s.RefuseAuthRequest(w, r, request, oidc.ErrInteractionRequired())
		return
	}
	code, err := op.BuildAuthResponseCodeResponsePayload(r.Context(), request, s.Provider())
	if err != nil {
		s.RefuseAuthRequest(w, r, request, oidc.DefaultToServerError(err, "the code could not be created"))
		return
	}
	s.send(w, r, request, code)
}

// RefuseAuthRequest sends an error to the client: oidc.ErrAccessDenied if the person
// refused, and oidc.ErrLoginRequired or oidc.ErrConsentRequired if the person would have
// to be asked, which prompt=none forbids.
func (s *Server) RefuseAuthRequest(w http.ResponseWriter, r *http.Request, request op.AuthRequest, refusal *oidc.Error) {
	refusal.State = request.GetState()
	s.send(w, r, request, refusal)
}

func (s *Server) send(w http.ResponseWriter, r *http.Request, request op.AuthRequest, response any) {
	w.Header().Set("Cache-Control", "no-store")
	parameters := make(map[string][]string)
	err := s.encoder.Encode(response, parameters)
	if err == nil && request.GetResponseMode() == oidc.ResponseModeFormPost {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", formPostPolicy)
		err = formPost.Execute(w, map[string]any{"To": template.URL(request.GetRedirectURI()), "Parameters": parameters}) // the client registered this redirect URI
	} else if err == nil {
		var to string
		if to, err = op.AuthResponseURL(request.GetRedirectURI(), request.GetResponseType(), request.GetResponseMode(), response, s.encoder); err == nil {
			http.Redirect(w, r, to, http.StatusFound)
		}
	}
	if err != nil {
		slog.ErrorContext(r.Context(), "zitadeloidc: cannot send an authorization response", "error", err)
	}
}

const submit = "document.forms[0].submit()"

// formPost is the page that posts to the client. The page of op lacks iss.
var formPost = template.Must(template.New("").Parse(`<!doctype html><html lang="en"><meta charset="utf-8"><title>Continue</title>
<form method="post" action="{{.To}}">{{range $name, $values := .Parameters}}{{range $values}}<input type="hidden" name="{{$name}}" value="{{.}}">{{end}}{{end}}<button>Continue</button></form>
<script>` + submit + `</script></html>`))

var formPostPolicy = func() string {
	digest := sha256.Sum256([]byte(submit))
	return "default-src 'none'; script-src 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'; base-uri 'none'; frame-ancestors 'none'"
}()

// unavailable returns an error with status 503 if the op.Storage failed, and otherwise
// the given one.
func unavailable(err error, otherwise *oidc.Error) error {
	if shown, ok := errors.AsType[*oidc.Error](err); ok && shown.ErrorType == oidc.ServerError {
		return op.NewStatusError(shown, http.StatusServiceUnavailable)
	}
	return otherwise
}

package main

// OpenID Connect RP-Initiated Logout 1.0, and who may open the operators' pages.

import (
	"context"
	"net/http"
	"slices"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/dynreg/dcr"
)

// TerminateSessionFromRequest signs a person out whom a client sent. Without the ID
// Token of the person who is signed in here anybody could have sent them: they are
// asked, and not sent on.
func (s *storage) TerminateSessionFromRequest(ctx context.Context, asked *op.EndSessionRequest) (string, error) {
	by := sessionFrom(ctx)
	if asked.IDTokenHintClaims == nil || by.person != "" && by.person != asked.UserID {
		return "/logout", nil
	}
	if by.person != "" {
		s.signOut(by)
	}
	// What was given for the time that the person is here ends with it.
	s.endGrants(asked.ClientID, asked.UserID, func(of *grant) bool { return !slices.Contains(of.scopes, oidc.ScopeOfflineAccess) })
	return asked.RedirectURI, nil
}

// logout asks whether to sign out.
func (p *provider) logout(w http.ResponseWriter, r *http.Request) {
	by := p.sessions.of(r)
	if by.person == "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	p.show(w, http.StatusOK, page{Name: "logout", Person: p.people.known[by.person]})
}

func (p *provider) signOut(w http.ResponseWriter, r *http.Request) {
	p.sessions.end(p.sessions.of(r))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// home says who is signed in, and what is here.
func (p *provider) home(w http.ResponseWriter, r *http.Request) {
	p.show(w, http.StatusOK, page{Name: "home", Person: p.people.known[p.sessions.of(r).person], Issuer: p.issuer})
}

// onlyOperators lets operators through, and others sign in.
func (p *provider) onlyOperators(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch found := p.people.known[p.sessions.of(r).person]; {
		case found == nil:
			http.Redirect(w, r, "/login", http.StatusSeeOther)
		case !found.Operator:
			p.refuse(w, http.StatusForbidden, "These pages are for operators. Sign out, and in as one.")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// operator is asked by the pages themselves.
func (p *provider) operator(r *http.Request) (string, error) {
	found := p.people.known[p.sessions.of(r).person]
	if found == nil || !found.Operator {
		return "", dcr.Errorf(dcr.AccessDenied, "only operators may look")
	}
	return found.ID, nil
}

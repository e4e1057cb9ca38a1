package main

// OpenID Connect RP-Initiated Logout 1.0, and access to the operators' pages.

import (
	"context"
	"net/http"
	"slices"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/dynreg/dcr"
)

// TerminateSessionFromRequest signs out a person that a client sent here. Without an ID
// Token of the person who is signed in, anybody could have sent them, so it asks the
// person, and does not send them to the client.
func (s *storage) TerminateSessionFromRequest(ctx context.Context, asked *op.EndSessionRequest) (string, error) {
	by := sessionFrom(ctx)
	if asked.IDTokenHintClaims == nil || by.person != "" && by.person != asked.UserID {
		return "/logout", nil
	}
	if by.person != "" {
		s.signOut(by)
	}
	// A grant without offline_access ends when the person signs out.
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

// onlyOperators gives operators access. Anybody else must sign in as one.
func (p *provider) onlyOperators(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch found := p.people.known[p.sessions.of(r).person]; {
		case found == nil:
			http.Redirect(w, r, "/login", http.StatusSeeOther)
		case !found.Operator:
			p.refuse(w, http.StatusForbidden, "These pages are for operators. Sign out, and sign in as one.")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// operator tells the pages which operator sent a request.
func (p *provider) operator(r *http.Request) (string, error) {
	found := p.people.known[p.sessions.of(r).person]
	if found == nil || !found.Operator {
		return "", dcr.Errorf(dcr.AccessDenied, "only operators have access")
	}
	return found.ID, nil
}

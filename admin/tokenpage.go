package admin

// The page of initial access tokens (RFC 7591 §3), which let their bearers register
// clients.

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/callerauth"
)

// tokenList is a page of tokens.
type tokenList struct {
	Tokens []token
	Issues bool   // whether tokens can be issued and revoked
	Older  string // the address of the next page, "" at the end
}

type token struct {
	dcr.InitialAccessToken
	Ended bool // used up or expired
}

func (p *pages) listTokens(r *http.Request) (view, error) {
	lister, ok := dcr.StoreAs[dcr.InitialAccessTokenLister](p.admin.Store)
	if !ok {
		return view{}, errNoTokens
	}
	list, next, err := lister.ListInitialAccessTokens(r.Context(), r.Form.Get("after"), pageSize)
	if err != nil {
		return view{}, err
	}
	var page tokenList
	_, err = p.tokens()
	page.Issues = err == nil
	now := clock(p.admin.Now)()
	for _, one := range list {
		ended := one.MaxUses > 0 && one.Uses >= one.MaxUses || !one.ExpiresAt.IsZero() && !now.Before(one.ExpiresAt)
		page.Tokens = append(page.Tokens, token{one, ended})
	}
	if next != "" {
		page.Older = "tokens?" + url.Values{"after": {next}}.Encode()
	}
	return view{template: "tokens", data: page}, nil
}

var errNoTokens = fault{status: http.StatusNotFound, sentence: "The server's store keeps no initial access tokens."}

// tokens issues and revokes tokens.
func (p *pages) tokens() (*callerauth.InitialAccessTokens, error) {
	store, ok := dcr.StoreAs[dcr.InitialAccessTokenStore](p.admin.Store)
	if !ok {
		return nil, errNoTokens
	}
	return &callerauth.InitialAccessTokens{Store: store, Now: p.admin.Now}, nil
}

// maxText bounds the texts about a token in a form, in bytes.
const maxText = 1000

func (p *pages) issueToken(r *http.Request) (view, error) {
	tokens, err := p.tokens()
	if err != nil {
		return view{}, err
	}
	of := func(name string) string { return strings.TrimSpace(r.Form.Get(name)) }
	uses, err := strconv.Atoi(of("uses"))
	days, wrong := strconv.Atoi(of("days"))
	switch {
	case errors.Join(err, wrong) != nil || uses < 0 || uses > 1_000_000 || days < 0 || days > 3660:
		return view{}, fault{status: http.StatusBadRequest, sentence: "Write in digits how many clients the token may register, and how many days it is valid; 0 is without a bound."}
	case len(of("subject")) > maxText || len(of("notes")) > maxText || len(of("policy")) > maxText:
		return view{}, fault{status: http.StatusBadRequest, sentence: "Owner, policy and notes have at most 1000 bytes each."}
	}
	kind := dcr.InitialAccessToken{Subject: of("subject"), Policy: of("policy"), Notes: of("notes"), MaxUses: uses}
	if days > 0 {
		kind.ExpiresAt = clock(p.admin.Now)().AddDate(0, 0, days)
	}
	secret, kind, err := tokens.Issue(r.Context(), kind)
	if err != nil {
		return view{}, err
	}
	slog.InfoContext(r.Context(), "initial access token issued", "operator", operator(r.Context()), "hash", kind.Hash, "subject", kind.Subject, "max_uses", kind.MaxUses)
	return view{template: "secret", data: issued{Kind: "initial access token", Secret: secret.Reveal(), Back: "tokens", About: kind.Subject}}, nil
}

func (p *pages) revokeToken(r *http.Request) (view, error) {
	tokens, err := p.tokens()
	if err == nil {
		err = tokens.Revoke(r.Context(), r.Form.Get("hash"))
	}
	if err == nil {
		slog.InfoContext(r.Context(), "initial access token revoked", "operator", operator(r.Context()), "hash", r.Form.Get("hash"))
	}
	return view{location: "tokens"}, err
}

// Used says how often the token was used, and how often it may be.
func (t token) Used() string {
	if t.MaxUses == 0 {
		return strconv.Itoa(t.Uses) + " of any number"
	}
	return strconv.Itoa(t.Uses) + " of " + strconv.Itoa(t.MaxUses)
}

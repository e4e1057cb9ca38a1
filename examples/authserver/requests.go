package main

// The op.Storage: authorization requests, from /authorize to the code. The tokens are
// in tokens.go.

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/dynreg/dcr/adapters/zitadeloidc"
)

const (
	requestLifetime = 30 * time.Minute // for a person to sign in and decide
	backLifetime    = time.Minute      // for a browser to follow a redirect
)

// storage keeps requests, codes and tokens in memory. They are lost when the process
// ends, and people sign in again. Clients must not be lost, so they are in a database.
// A server on several hosts keeps both there.
type storage struct {
	zitadeloidc.Clients
	issuer  string
	people  *people
	key     signingKey
	signOut func(session)

	mu       sync.Mutex
	requests bounded[*request]      // by id, while a person decides
	decided  bounded[*request]      // by another id, on the way back to the client
	codes    bounded[*request]      // by the digest of the code, even after it was redeemed
	access   bounded[*accessToken]  // by id
	refresh  bounded[*refreshToken] // by the digest of the token, even after it was used
}

func newStorage(clients zitadeloidc.Clients, issuer string, people *people, key signingKey, signOut func(session)) *storage {
	return &storage{
		Clients: clients, issuer: issuer, people: people, key: key, signOut: signOut,
		requests: newBounded[*request](10_000), decided: newBounded[*request](10_000), codes: newBounded[*request](10_000),
		access: newBounded[*accessToken](100_000), refresh: newBounded[*refreshToken](100_000),
	}
}

// request is an authorization request that the adapter accepted. It is an
// op.AuthRequest.
type request struct {
	id        string
	asked     *oidc.AuthRequest // its Scopes may all be granted
	resources []string
	hinted    string // the person of the id_token_hint
	began     time.Time

	person       string // who agreed; "" before that
	signedIn     time.Time
	codeLifetime time.Duration

	redeemed bool
	grant    *grant // what the code was redeemed for
}

func (r *request) GetID() string                      { return r.id }
func (r *request) GetACR() string                     { return "" }
func (r *request) GetAMR() []string                   { return []string{"pwd"} }
func (r *request) GetAudience() []string              { return []string{r.asked.ClientID} }
func (r *request) GetResources() []string             { return r.resources }
func (r *request) GetAuthTime() time.Time             { return r.signedIn }
func (r *request) GetClientID() string                { return r.asked.ClientID }
func (r *request) GetNonce() string                   { return r.asked.Nonce }
func (r *request) GetRedirectURI() string             { return r.asked.RedirectURI }
func (r *request) GetResponseType() oidc.ResponseType { return r.asked.ResponseType }
func (r *request) GetResponseMode() oidc.ResponseMode { return r.asked.ResponseMode }
func (r *request) GetScopes() []string                { return r.asked.Scopes }
func (r *request) GetState() string                   { return r.asked.State }
func (r *request) GetSubject() string                 { return r.person }
func (r *request) Done() bool                         { return r.person != "" }

func (r *request) GetCodeChallenge() *oidc.CodeChallenge {
	return &oidc.CodeChallenge{Challenge: r.asked.CodeChallenge, Method: r.asked.CodeChallengeMethod}
}

// CreateAuthRequest stores a request for the sign-in page.
func (s *storage) CreateAuthRequest(ctx context.Context, asked *oidc.AuthRequest, hinted string) (op.AuthRequest, error) {
	made := &request{id: rand.Text(), asked: asked, hinted: hinted, began: time.Now()}
	if made.resources = zitadeloidc.AuthorizationFromContext(ctx).Resources; len(made.resources) == 0 {
		made.resources = []string{s.issuer} // the token is for userinfo
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests.put(made.id, made, made.began.Add(requestLifetime))
	return made, nil
}

// waiting returns a request that the person has not decided yet.
func (s *storage) waiting(id string) (*request, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests.get(id)
}

// agree removes a waiting request, and returns it with a new id for the way back to the
// client. The old id is in the address of the sign-in page, so others may know it, such
// as an attacker who sent the link to this person. Only the browser in which the person
// decided gets the new id, so only that browser gets the code.
func (s *storage) agree(id string, by session, codeLifetime time.Duration) (*request, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting, ok := s.requests.take(id)
	if !ok {
		return nil, false
	}
	agreed := *waiting
	agreed.id, agreed.person, agreed.signedIn, agreed.codeLifetime = rand.Text(), by.person, by.signedIn, codeLifetime
	s.decided.put(agreed.id, &agreed, time.Now().Add(backLifetime))
	return &agreed, true
}

// refuse removes a waiting request. The adapter then sends the refusal to the client.
func (s *storage) refuse(id string) (*request, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests.take(id)
}

var errUnknown = errors.New("unknown or expired")

// AuthRequestByID is called on the way back to the client.
func (s *storage) AuthRequestByID(_ context.Context, id string) (op.AuthRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	agreed, ok := s.decided.get(id)
	if !ok {
		return nil, errUnknown
	}
	return agreed, nil
}

// SaveAuthCode stores the code of a request. A request has only one.
func (s *storage) SaveAuthCode(_ context.Context, id, code string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	agreed, ok := s.decided.take(id)
	if !ok {
		return errUnknown
	}
	s.codes.put(digest(code), agreed, time.Now().Add(agreed.codeLifetime))
	return nil
}

// AuthRequestByCode redeems a code once. If it is used again, somebody has stolen it,
// perhaps the one who used it first, so its tokens become invalid (RFC 9700 §2.1.1).
func (s *storage) AuthRequestByCode(_ context.Context, code string) (op.AuthRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	agreed, ok := s.codes.get(digest(code))
	if !ok {
		return nil, errUnknown
	}
	if agreed.redeemed {
		if agreed.grant != nil {
			agreed.grant.ended = true
		}
		return nil, errUnknown
	}
	agreed.redeemed = true
	return agreed, nil
}

// DeleteAuthRequest does nothing: a redeemed code is kept until it expires.
func (s *storage) DeleteAuthRequest(context.Context, string) error { return nil }

// Health never fails, because everything is in memory.
func (s *storage) Health(context.Context) error { return nil }

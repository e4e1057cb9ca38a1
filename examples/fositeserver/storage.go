package main

// What fosite stores, in memory. It is bounded, because strangers can send requests,
// and it is stored by signature, so that it contains no usable tokens. A server on
// several hosts, or one that must survive a restart, stores it in its database.

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/openid"

	adapter "github.com/dynreg/dcr/adapters/fosite"
)

type kept struct {
	fosite.Requester
	ends   time.Time
	used   bool   // used entries are kept until they expire, to detect a second use
	access string // the access token that was issued with a refresh token
}

// shelf has entries of one kind, at most most of them.
type shelf map[string]kept

const most = 100_000

// put adds an entry. If there is no room, it removes expired entries, and then any.
func (s shelf) put(key string, value kept) {
	if len(s) >= most {
		now := time.Now()
		maps.DeleteFunc(s, func(_ string, old kept) bool { return !now.Before(old.ends) })
	}
	for old := range s {
		if len(s) < most {
			break
		}
		delete(s, old)
	}
	s[key] = value
}

func (s shelf) get(key string) (kept, error) {
	found, ok := s[key]
	if !ok || !time.Now().Before(found.ends) {
		return kept{}, fosite.ErrNotFound
	}
	return found, nil
}

// use returns an entry once. If two requests use it at once, one gets the error second.
func (s shelf) use(key string, second error) (kept, error) {
	found, err := s.get(key)
	if err == nil && found.used {
		err = second
	}
	if err != nil {
		return kept{}, err
	}
	found.used = true
	s[key] = found
	return found, nil
}

// storage is the fosite.Storage, without the clients.
type storage struct {
	*adapter.Clients
	mu                                   sync.Mutex
	codes, pkce, openid, access, refresh shelf
}

func newStorage(clients *adapter.Clients) *storage {
	return &storage{Clients: clients, codes: shelf{}, pkce: shelf{}, openid: shelf{}, access: shelf{}, refresh: shelf{}}
}

func (s *storage) put(into shelf, key string, request fosite.Requester, ends time.Time, access string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	into.put(key, kept{request, ends, false, access})
	return nil
}

// get returns a copy of an entry, because fosite changes the session of a code: two requests
// that send one code at once would otherwise crash the server. If the entry was used before,
// get also returns the error second.
func (s *storage) get(from shelf, key string, second error) (fosite.Requester, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := from.get(key)
	if err != nil {
		return nil, err
	}
	copied := found.Sanitize(slices.Collect(maps.Keys(found.GetRequestForm())))
	copied.SetSession(found.GetSession().Clone())
	if found.used {
		return copied, second
	}
	return copied, nil
}

func (s *storage) remove(from shelf, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(from, key)
	return nil
}

// codeEnds returns a time at which a code has certainly expired.
func codeEnds() time.Time { return time.Now().Add(10 * time.Minute) }

func (s *storage) CreateAuthorizeCodeSession(_ context.Context, code string, request fosite.Requester) error {
	return s.put(s.codes, code, request, codeEnds(), "")
}

func (s *storage) GetAuthorizeCodeSession(_ context.Context, code string, _ fosite.Session) (fosite.Requester, error) {
	return s.get(s.codes, code, fosite.ErrInvalidatedAuthorizeCode)
}

func (s *storage) InvalidateAuthorizeCodeSession(_ context.Context, code string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.codes.use(code, fosite.ErrInvalidatedAuthorizeCode)
	return err
}

func (s *storage) CreatePKCERequestSession(_ context.Context, code string, request fosite.Requester) error {
	return s.put(s.pkce, code, request, codeEnds(), "")
}

func (s *storage) GetPKCERequestSession(_ context.Context, code string, _ fosite.Session) (fosite.Requester, error) {
	return s.get(s.pkce, code, nil)
}

func (s *storage) DeletePKCERequestSession(_ context.Context, code string) error {
	return s.remove(s.pkce, code)
}

func (s *storage) CreateOpenIDConnectSession(_ context.Context, code string, request fosite.Requester) error {
	return s.put(s.openid, code, request, codeEnds(), "")
}

func (s *storage) GetOpenIDConnectSession(_ context.Context, code string, _ fosite.Requester) (fosite.Requester, error) {
	found, err := s.get(s.openid, code, nil)
	if err != nil {
		return nil, openid.ErrNoSessionFound
	}
	return found, nil
}

func (s *storage) DeleteOpenIDConnectSession(_ context.Context, code string) error {
	return s.remove(s.openid, code)
}

func (s *storage) CreateAccessTokenSession(_ context.Context, token string, request fosite.Requester) error {
	return s.put(s.access, token, request, request.GetSession().GetExpiresAt(fosite.AccessToken), "")
}

func (s *storage) GetAccessTokenSession(_ context.Context, token string, _ fosite.Session) (fosite.Requester, error) {
	return s.get(s.access, token, nil)
}

func (s *storage) DeleteAccessTokenSession(_ context.Context, token string) error {
	return s.remove(s.access, token)
}

func (s *storage) CreateRefreshTokenSession(_ context.Context, token, access string, request fosite.Requester) error {
	ends := request.GetSession().GetExpiresAt(fosite.RefreshToken)
	if ends.IsZero() { // it never expires
		ends = time.Now().AddDate(100, 0, 0)
	}
	return s.put(s.refresh, token, request, ends, access)
}

func (s *storage) GetRefreshTokenSession(_ context.Context, token string, _ fosite.Session) (fosite.Requester, error) {
	return s.get(s.refresh, token, fosite.ErrInactiveToken)
}

func (s *storage) DeleteRefreshTokenSession(_ context.Context, token string) error {
	return s.remove(s.refresh, token)
}

// RotateRefreshToken uses up a refresh token, and ends the access token that was issued
// with it.
func (s *storage) RotateRefreshToken(_ context.Context, _, token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.refresh.use(token, fosite.ErrInactiveToken)
	if err != nil {
		return err
	}
	delete(s.access, found.access)
	return nil
}

func (s *storage) RevokeRefreshToken(_ context.Context, requestID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for token, found := range s.refresh {
		if found.GetID() == requestID {
			found.used = true
			s.refresh[token] = found
		}
	}
	return nil
}

func (s *storage) RevokeAccessToken(_ context.Context, requestID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.access, func(_ string, found kept) bool { return found.GetID() == requestID })
	return nil
}

package main

// Who is signed in, in which browser, and what they agreed to.

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dynreg/dcr"
)

const sessionLifetime = 12 * time.Hour

// session is a person who signed in. The zero session is nobody.
type session struct {
	person   string
	signedIn time.Time
	token    string // the value of the cookie
}

// consent is what a person agreed to, and for which version of the client. If the
// client has changed, the person is asked again.
type consent struct {
	client string
	scopes []string
	at     time.Time
}

// sessions are in memory, like the requests and tokens.
type sessions struct {
	cookie string // its name
	secure bool   // whether it is sent over https only

	mu       sync.Mutex
	open     bounded[session] // by the digest of the cookie
	consents bounded[consent] // by person and client
}

func newSessions(https bool) *sessions {
	name := "session"
	if https {
		name = "__Host-session" // no other host can set it
	}
	return &sessions{cookie: name, secure: https, open: newBounded[session](100_000), consents: newBounded[consent](100_000)}
}

// begin signs a person in with a new token.
func (s *sessions) begin(w http.ResponseWriter, id string) session {
	begun := session{id, time.Now(), rand.Text()}
	s.mu.Lock()
	s.open.put(digest(begun.token), begun, begun.signedIn.Add(sessionLifetime))
	s.mu.Unlock()
	// Lax, because the browser comes from the page of a client.
	http.SetCookie(w, &http.Cookie{Name: s.cookie, Value: begun.token, Path: "/", HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteLaxMode})
	return begun
}

// of returns the session of a request.
func (s *sessions) of(r *http.Request) session {
	cookie, err := r.Cookie(s.cookie)
	if err != nil {
		return session{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, _ := s.open.get(digest(cookie.Value))
	return found
}

// end signs a person out.
func (s *sessions) end(ended session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open.take(digest(ended.token))
}

type sessionKey struct{}

// keep puts the session into the context, because the op.Storage gets no cookies.
func (s *sessions) keep(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), sessionKey{}, s.of(r))))
	})
}

func sessionFrom(ctx context.Context) session {
	found, _ := ctx.Value(sessionKey{}).(session)
	return found
}

// as identifies the current version of a client: by its revision or, if it publishes
// its metadata, by its document.
func as(client *dcr.Client) string {
	if client.Document != nil {
		return client.Document.SHA256
	}
	return fmt.Sprint(client.Revision)
}

// agreed returns when a person agreed to all of these scopes for this client.
func (s *sessions) agreed(person string, client *dcr.Client, scopes []string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.consents.get(person + " " + client.ID)
	if !ok || found.client != as(client) || slices.ContainsFunc(scopes, func(scope string) bool { return !slices.Contains(found.scopes, scope) }) {
		return time.Time{}
	}
	return found.at
}

func (s *sessions) agree(person string, client *dcr.Client, scopes []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.consents.put(person+" "+client.ID, consent{as(client), scopes, time.Now()}, time.Now().AddDate(1, 0, 0))
}

// forget removes the consents to a deleted client.
func (s *sessions) forget(clientID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.consents.entries {
		if strings.HasSuffix(key, " "+clientID) {
			delete(s.consents.entries, key)
		}
	}
}

package main

// Who can sign in: two people with the same password. Replace them with your users.

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/crypto/bcrypt"
)

type person struct {
	ID, GivenName, FamilyName, Email string
	Operator                         bool // may open the operators' pages
	hash                             []byte
}

func (p *person) Name() string { return p.GivenName + " " + p.FamilyName }

type people struct {
	known map[string]*person // by the name that they sign in with
	none  []byte             // a hash for unknown names, so that the answer takes as long
	work  chan struct{}      // bounds how many passwords are compared at once, which is slow on purpose

	mu     sync.Mutex
	misses bounded[*int] // by name
}

func newPeople(password string) (*people, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
	if err != nil {
		return nil, err
	}
	none, err := bcrypt.GenerateFromPassword([]byte("none"), bcrypt.DefaultCost)
	if err != nil {
		return nil, err
	}
	return &people{
		known: map[string]*person{
			"paula": {ID: "paula", GivenName: "Paula", FamilyName: "Person", Email: "paula@example.com", hash: hash},
			"olga":  {ID: "olga", GivenName: "Olga", FamilyName: "Operator", Email: "olga@example.com", Operator: true, hash: hash},
		},
		none: none, work: make(chan struct{}, 2), misses: newBounded[*int](10_000),
	}, nil
}

var (
	errWrong   = errors.New("The name or the password is wrong.")
	errTooMany = errors.New("Too many wrong passwords. Try again in 15 minutes.")
)

// signIn checks a password. After ten wrong passwords for a name it checks none for a
// while. It does not reveal whether a person with the name exists.
func (p *people) signIn(ctx context.Context, name, password string) (*person, error) {
	select {
	case p.work <- struct{}{}:
		defer func() { <-p.work }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if p.miss(name, 0) >= 10 {
		return nil, errTooMany
	}
	found, hash := p.known[name], p.none
	if found != nil {
		hash = found.hash
	}
	if bcrypt.CompareHashAndPassword(hash, []byte(password)) != nil || found == nil {
		p.miss(name, 1)
		return nil, errWrong
	}
	return found, nil
}

// miss counts the wrong passwords for a name.
func (p *people) miss(name string, more int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	count, ok := p.misses.get(digest(name))
	if !ok {
		count = new(int)
		if more > 0 {
			p.misses.put(digest(name), count, time.Now().Add(15*time.Minute))
		}
	}
	*count += more
	return *count
}

// SetUserinfoFromScopes sets the claims about a person that the scopes allow.
func (s *storage) SetUserinfoFromScopes(_ context.Context, told *oidc.UserInfo, id, _ string, scopes []string) error {
	found := s.people.known[id]
	if found == nil {
		return errUnknown
	}
	told.Subject = found.ID
	if slices.Contains(scopes, oidc.ScopeProfile) {
		told.Name, told.GivenName, told.FamilyName, told.PreferredUsername = found.Name(), found.GivenName, found.FamilyName, found.ID
	}
	if slices.Contains(scopes, oidc.ScopeEmail) {
		told.Email, told.EmailVerified = found.Email, true
	}
	return nil
}

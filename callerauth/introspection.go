package callerauth

// RFC 7662: OAuth 2.0 Token Introspection.

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/internal/jwt"
	"github.com/dynreg/dcr/internal/lru"
	"github.com/dynreg/dcr/internal/strictjson"
	"github.com/dynreg/dcr/internal/uri"
)

// IntrospectionVerifier authenticates callers by an access token that its
// authorization server says is active (RFC 7662), for tokens that are opaque, or
// that must stop working once they are revoked. Its method Authenticate is a
// [dcr.Authenticator]. Set Endpoint, ClientID, ClientSecret and, if the server
// issues tokens for other resources too, Audience or Scopes. Do not copy or change
// it after the first use. As with [AccessTokenVerifier], a token that is bound to a
// key needs no proof.
//
//	verifier := &callerauth.IntrospectionVerifier{
//		Endpoint:     "https://id.example.com/connect/introspect",
//		ClientID:     "registration",
//		ClientSecret: dcr.Plaintext(os.Getenv("INTROSPECTION_SECRET")),
//		Scopes:       []string{"client:register"},
//	}
//	mux.Handle("POST /connect/dcr", dcr.Require(verifier.Authenticate)(handler))
type IntrospectionVerifier struct {
	// Endpoint is the introspection endpoint: https, or http on a loopback host.
	// Required. It receives every bearer token that is sent, except initial
	// access tokens of this package. Redirects are not followed.
	Endpoint string

	// ClientID and ClientSecret authenticate this server to the endpoint, by
	// client_secret_basic. Required, unless Authorize is set.
	ClientID     string
	ClientSecret dcr.Plaintext

	// Authorize authenticates the request to the endpoint in another way, such as
	// with a bearer token. If nil, ClientID and ClientSecret are used.
	Authorize func(*http.Request)

	// Issuer is what iss must be if the answer has it. If empty, iss is not
	// checked.
	Issuer string

	// Audience must be in aud; an answer without aud is then refused. If empty,
	// aud is not checked.
	Audience string

	// Scopes are the scopes that a token must have, all of them; a token that
	// lacks one is answered with 403. If nil, none.
	Scopes []string

	// HTTPClient sends the requests to the endpoint. If nil, or without a Timeout,
	// one with a timeout of 5 seconds.
	HTTPClient *http.Client

	// CacheFor is how long an answer that a token is active is cached, at most
	// until its exp; a revoked token still registers clients for as long. At most
	// 1,000 answers are cached, by the hash of the token. If zero, the endpoint is
	// asked for every request.
	CacheFor time.Duration

	// Now is the clock. If nil, time.Now.
	Now func() time.Time

	once   sync.Once
	broken error // what is wrong with the fields above
	client http.Client

	mu     sync.Mutex
	active *lru.Cache[[sha256.Size]byte, introspected]
}

const (
	maxIntrospected  = 1000     // answers that are cached
	maxIntrospection = 64 << 10 // bytes of an answer
)

// introspected is an answer that its token is active.
type introspected struct {
	answer      []byte
	from, until time.Time
}

func (v *IntrospectionVerifier) prepare() error {
	v.once.Do(func() {
		if err := v.check(); err != nil {
			v.broken = fmt.Errorf("callerauth: IntrospectionVerifier.%w", err)
			return
		}
		if v.HTTPClient != nil {
			v.client = *v.HTTPClient
		}
		if v.client.Timeout == 0 { // a registration would wait for an endpoint that never answers
			v.client.Timeout = 5 * time.Second
		}
		v.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		v.active = lru.New[[sha256.Size]byte, introspected](maxIntrospected)
	})
	return v.broken
}

func (v *IntrospectionVerifier) check() error {
	if v.Endpoint == "" {
		return errors.New("Endpoint is empty; set it to the introspection endpoint")
	}
	if err := uri.CheckPublic(v.Endpoint); err != nil {
		return fmt.Errorf("Endpoint %w", err)
	}
	if v.Authorize == nil && (v.ClientID == "" || v.ClientSecret == "") {
		return errors.New("ClientID or ClientSecret is empty; set both, or Authorize")
	}
	return nil
}

// Authenticate returns the caller whose token the request has; it is a
// [dcr.Authenticator]. Subject is the answer's sub, or its client_id if it has no
// sub; Claims is the whole answer. If the endpoint is out of reach, refuses this
// server or sends an answer that makes no sense, that is an outage and not a
// refusal.
func (v *IntrospectionVerifier) Authenticate(r *http.Request) (*dcr.Caller, error) {
	presented, err := dcr.BearerToken(r)
	token := presented.Reveal()
	if err != nil || token == "" || strings.HasPrefix(token, tokenPrefix) {
		return nil, err
	}
	if err := v.prepare(); err != nil {
		return nil, misconfigured(err)
	}
	if len(token) > maxAccessToken {
		return nil, dcr.RefuseToken("size", nil)
	}
	now := time.Now
	if v.Now != nil {
		now = v.Now
	}
	key := sha256.Sum256([]byte(token))
	asked := now()
	answer := v.remembered(key, asked)
	fresh := answer == nil
	if fresh {
		if answer, err = v.ask(r.Context(), token); err != nil {
			return nil, introspectionOutage(err)
		}
	}
	caller, claims, err := v.judge(answer, now())
	if err == nil && fresh {
		v.remember(key, answer, claims, asked)
	}
	if err != nil {
		return nil, err
	}
	return withScopes(caller, v.Scopes)
}

func introspectionOutage(cause error) error {
	err := dcr.Unavailable("the server cannot check the access token at the moment", cause)
	err.Rule = "introspection.unavailable"
	return err
}

// ask asks the endpoint about a token (RFC 7662 §2.1).
func (v *IntrospectionVerifier) ask(ctx context.Context, token string) ([]byte, error) {
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, v.Endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	if v.Authorize != nil {
		v.Authorize(request)
	} else { // RFC 6749 §2.3.1
		request.SetBasicAuth(url.QueryEscape(v.ClientID), url.QueryEscape(v.ClientSecret.Reveal()))
	}
	response, err := v.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", v.Endpoint, response.Status)
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxIntrospection+1))
	if err == nil && len(answer) > maxIntrospection {
		err = fmt.Errorf("%s answered with more than %d bytes", v.Endpoint, maxIntrospection)
	}
	return answer, err
}

// judge judges an answer (RFC 7662 §2.2) and returns the caller.
func (v *IntrospectionVerifier) judge(answer []byte, now time.Time) (*dcr.Caller, *jwt.Claims, error) {
	var own accessClaims
	var claims jwt.Claims
	var active strictjson.Value
	refreshes := false
	err := strictjson.ReadObject(answer, jwt.Limits, func(name string, value strictjson.Value) error {
		switch {
		case value.Kind() == strictjson.Null:
			return nil // as absent
		case name == "active":
			active = value
		case name == "token_type" || name == "token_use": // where some servers tell a refresh token from others
			text, _ := value.Text()
			refreshes = refreshes || strings.EqualFold(text, "refresh_token")
		}
		return errors.Join(claims.Read(name, value), own.read(name, value))
	})
	if err == nil && active.Kind() != strictjson.Bool {
		err = errors.New("active is missing or is no boolean")
	}
	if err != nil {
		return nil, nil, introspectionOutage(fmt.Errorf("the answer of %s: %w", v.Endpoint, err))
	}
	terms := jwt.Terms{Skew: jwt.Skew(0)}
	if v.Audience != "" {
		terms.Audience = []string{v.Audience}
	}
	switch {
	case string(active) != "true":
		return nil, nil, dcr.RefuseToken("inactive", nil)
	case refreshes:
		return nil, nil, dcr.RefuseToken("type", errors.New("it is a refresh token"))
	case v.Issuer != "" && claims.Issuer != "" && claims.Issuer != v.Issuer:
		return nil, nil, dcr.RefuseToken("issuer", nil)
	}
	if err := claims.Check(now, terms); err != nil {
		return nil, nil, dcr.RefuseToken("time_or_audience", err)
	}
	caller := &own.caller
	if err := json.Unmarshal(answer, &caller.Claims); err != nil {
		return nil, nil, introspectionOutage(err)
	}
	caller.ClientID = cmp.Or(caller.ClientID, own.authorizedParty)
	caller.Issuer, caller.Subject = cmp.Or(claims.Issuer, v.Issuer), cmp.Or(claims.Subject, caller.ClientID)
	return caller, &claims, nil
}

// remembered returns the cached answer about a token, nil if there is none.
func (v *IntrospectionVerifier) remembered(key [sha256.Size]byte, now time.Time) []byte {
	v.mu.Lock()
	defer v.mu.Unlock()
	found, _ := v.active.Get(key)
	if now.Before(found.from) || !now.Before(found.until) { // before: the clock was set back
		return nil
	}
	return found.answer
}

// remember caches an answer that its token is active. Others are not cached, so
// that nobody can fill the cache with invalid tokens. The token may have been revoked as
// soon as the endpoint was asked.
func (v *IntrospectionVerifier) remember(key [sha256.Size]byte, answer []byte, claims *jwt.Claims, asked time.Time) {
	if v.CacheFor <= 0 {
		return
	}
	until := asked.Add(v.CacheFor)
	if !claims.Expiry.IsZero() && claims.Expiry.Before(until) {
		until = claims.Expiry
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.active.Put(key, introspected{answer, asked, until})
}

package main

// What is measured without a server.

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/cachestore"
	"github.com/dynreg/dcr/cimd"
	"github.com/dynreg/dcr/clientauth"
	"github.com/dynreg/dcr/dcrtest"
	"github.com/dynreg/dcr/memstore"
	"github.com/dynreg/dcr/policy"
)

// work is something to measure.
type work func() error

// pace returns how much processor time each piece of work takes, in microseconds. It is
// the median of many short turns, in which the pieces alternate.
func pace(all ...work) (micros []float64, err error) {
	const rounds, length = 40, 10 * time.Millisecond
	turns, times := make([][]float64, len(all)), make([]int, len(all))
	for i, do := range all { // how many times it fits into a turn
		for started := time.Now(); time.Since(started) < length; times[i]++ {
			if err := do(); err != nil {
				return nil, err
			}
		}
	}
	for range rounds {
		for i, do := range all {
			before := cpu()
			for range times[i] {
				if err := do(); err != nil {
					return nil, err
				}
			}
			turns[i] = append(turns[i], float64((cpu()-before).Nanoseconds())/1e3/float64(times[i]))
		}
	}
	for _, figures := range turns {
		slices.Sort(figures)
		micros = append(micros, figures[len(figures)/2])
	}
	return micros, nil
}

// inProcess measures what needs no server.
func inProcess() ([]goal, error) {
	var all []goal
	for _, measure := range []func() ([]goal, error){validating, openBanking, finding, documents} {
		goals, err := measure()
		if err != nil {
			return nil, err
		}
		all = append(all, goals...)
	}
	return all, nil
}

// rules are fifteen rules that a server could stack.
var rules = []policy.Rule{
	policy.SigningAlgorithms("RS256", "PS256", "ES256"), policy.CorrectApplicationType(), policy.RequirePKCE(), policy.ForceConfidential(),
	policy.Deny(policy.DenyList{Hosts: []string{"bad.example"}}), policy.SameHost(policy.Drop), policy.RequireMembers("client_name"),
	policy.LimitLifetimes(policy.Lifetimes{AccessToken: policy.Lifetime{Ceiling: time.Hour}}), policy.GrantTypes(policy.Values{Ceiling: []string{"authorization_code"}}),
	policy.Scopes(policy.Values{Ceiling: []string{"openid", "profile"}}), policy.ReservedNames(map[string][]string{"Example Bank": nil}),
	policy.ReadableNames(dcr.ReadableRune), policy.RedirectHosts("*.example.com"), policy.HTTPSOnly(), policy.KnownScopes(),
}

func validating() ([]goal, error) {
	request, err := dcr.ParseRequest([]byte(body), dcr.Limits{})
	if err != nil {
		return nil, err
	}
	under := func(v dcr.Validator) work {
		return func() error { return dcr.Validate(context.Background(), v, &dcr.Registration{Request: request}) }
	}
	micros, err := pace(under(validator), under(policy.MCP(validator)), under(policy.Stack(validator, rules...)))
	if err != nil {
		return nil, err
	}
	return []goal{
		{"Validate with DefaultValidator, µs", micros[0], 4}, {"Validate with policy.MCP, µs", micros[1], 5}, {"Validate with 15 rules, µs", micros[2], 12},
	}, nil
}

const (
	clientID = "0123456789abcdef0123456789abcdef"
	secret   = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg"
)

var errSecret = errors.New("the secret does not match")

// finding measures a lookup, and the authentication of a client with its secret at the
// token endpoint, compared with a map and a SHA-256.
func finding() ([]goal, error) {
	ctx, memory := context.Background(), memstore.New()
	client := dcr.NewClient()
	client.ID, client.Source, client.ClientName, client.TokenEndpointAuthMethod = clientID, dcr.SourceDynamic, "My App", "client_secret_basic"
	client.RedirectURIs, client.GrantTypes = []string{"https://app.example.com/callback"}, []string{"authorization_code"}
	client.ResponseTypes, client.Secrets = []string{"code"}, []dcr.Secret{dcr.HashSecret(secret)}
	if err := memory.Add(ctx, client); err != nil {
		return nil, err
	}
	cache := cachestore.New(memory, nil)
	clients := map[string][sha256.Size]byte{clientID: sha256.Sum256([]byte(secret))}
	r, err := http.NewRequest(http.MethodPost, "https://id.example.com/token", nil)
	if err != nil {
		return nil, err
	}
	r.SetBasicAuth(clientID, secret)
	r.Form, r.PostForm = map[string][]string{}, map[string][]string{} // as if the host had read them
	authenticator := &clientauth.Authenticator{Store: cache, DontTouch: true}

	floor := func() error { // it must decode the header too
		id, presented, _ := r.BasicAuth()
		if clients[id] != sha256.Sum256([]byte(presented)) {
			return errSecret
		}
		return nil
	}
	view := func() error {
		found, err := cache.ViewClient(ctx, clientID)
		if err == nil && !found.VerifySecret(secret, time.Now()) {
			err = errSecret
		}
		return err
	}
	bare := func() error {
		digest := sha256.Sum256([]byte(secret))
		if text := base64.RawURLEncoding.EncodeToString(digest[:]); clients[clientID] != digest || text == "" {
			return errSecret
		}
		return nil
	}
	find := func() error { _, err := memory.FindByClientID(ctx, clientID); return err }
	authenticate := func() error { _, err := authenticator.Authenticate(r); return err }
	micros, err := pace(floor, authenticate, bare, view, find)
	if err != nil {
		return nil, err
	}
	allocations := testing.AllocsPerRun(1000, func() { view() })
	return []goal{
		{"find a cached client and check its secret, as a multiple of a map lookup and SHA-256", micros[3] / micros[2], 1.5},
		{"allocations of the same", allocations, 0.5},
		{"Authenticate a cached client, as a multiple of decoding the header, a map lookup and SHA-256", micros[1] / micros[0], 0},
		{"Authenticate a cached client, µs", micros[1], 0},
		{"find a client in memory, µs", micros[4], 0},
	}, nil
}

// documents measures the lookup of a fresh metadata document.
func documents() ([]goal, error) {
	var micros []float64
	var err error
	testing.Benchmark(func(b *testing.B) {
		if micros != nil {
			return
		}
		publisher := dcrtest.NewPublisher(b)
		var store *cimd.Store
		store, err = cimd.New(memstore.New(), &cimd.Options{Issuer: "https://id.example.com", Admit: cimd.Any, Fetch: publisher.Fetch()})
		if err != nil {
			return
		}
		id := publisher.Publish("/client", []byte(`{"client_name":"App","redirect_uris":["https://app.example.com/callback"]}`))
		micros, err = pace(func() error { _, err := store.FindByClientID(context.Background(), id); return err })
	})
	if err != nil {
		return nil, err
	}
	return []goal{{"find the client of a fresh document, µs", micros[0], 0}}, nil
}

package jwt_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr/internal/jwt"
	"github.com/dynreg/dcr/internal/strictjson"
)

func read(text string) (claims jwt.Claims, err error) {
	err = strictjson.ReadObject([]byte(text), strictjson.Limits{Members: 16, Depth: 4}, claims.Read)
	return claims, err
}

func TestRead(t *testing.T) {
	claims, err := read(`{"iss":"i","sub":"s","jti":"j","aud":["a","b"],"exp":1700000000,"nbf":1699999999.5,"iat":1.6e9,"other":[1]}`)
	want := jwt.Claims{
		Issuer: "i", Subject: "s", ID: "j", Audience: []string{"a", "b"},
		Expiry: time.Unix(1700000000, 0), NotBefore: time.Unix(1699999999, 500_000_000), IssuedAt: time.Unix(1600000000, 0),
	}
	if err != nil || !reflect.DeepEqual(claims, want) {
		t.Errorf("got %+v, %v", claims, err)
	}
	if claims, err = read(`{"aud":"a"}`); err != nil || len(claims.Audience) != 1 || claims.Audience[0] != "a" {
		t.Errorf("got %+v, %v", claims, err)
	}
}

func TestReadRefusesWrongTypes(t *testing.T) {
	for _, text := range []string{
		`{"iss":1}`, `{"iss":null}`, `{"sub":[]}`, `{"jti":{}}`, `{"aud":[1]}`, `{"aud":[""]}`, `{"aud":{}}`, `{"aud":null}`,
		`{"exp":"1700000000"}`, `{"exp":null}`, `{"exp":-1}`, `{"exp":1700000000000}`, `{"exp":1e400}`, `{"nbf":true}`, `{"iat":[]}`,
	} {
		if claims, err := read(text); err == nil {
			t.Errorf("%s was read as %+v", text, claims)
		} else if found := (*strictjson.Error)(nil); !errors.As(err, &found) || found.Path == "" {
			t.Errorf("%s: %v does not name the claim", text, err)
		}
	}
}

func TestCheck(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	after := func(d time.Duration) time.Time { return now.Add(d) }
	skew := jwt.Terms{Skew: time.Minute}
	for _, test := range []struct {
		sentence string
		claims   jwt.Claims
		terms    jwt.Terms
		want     error
	}{
		{"no claims and no terms", jwt.Claims{}, jwt.Terms{}, nil},
		{"a second to go", jwt.Claims{Expiry: after(time.Second)}, jwt.Terms{}, nil},
		{"the very second is too late", jwt.Claims{Expiry: now}, jwt.Terms{}, jwt.ErrExpired},
		{"late, but within the skew", jwt.Claims{Expiry: after(-59 * time.Second)}, skew, nil},
		{"late by the skew", jwt.Claims{Expiry: after(-time.Minute)}, skew, jwt.ErrExpired},
		{"valid from now on", jwt.Claims{NotBefore: now}, jwt.Terms{}, nil},
		{"valid a second later", jwt.Claims{NotBefore: after(time.Second)}, jwt.Terms{}, jwt.ErrTooEarly},
		{"early, but within the skew", jwt.Claims{NotBefore: after(time.Minute)}, skew, nil},
		{"issued in the future", jwt.Claims{IssuedAt: after(2 * time.Minute)}, skew, jwt.ErrTooEarly},
		{"young enough", jwt.Claims{IssuedAt: after(-5 * time.Minute)}, jwt.Terms{MaxAge: 5 * time.Minute}, nil},
		{"too old", jwt.Claims{IssuedAt: after(-5*time.Minute - 1)}, jwt.Terms{MaxAge: 5 * time.Minute}, jwt.ErrTooOld},
		{"valid for a while", jwt.Claims{IssuedAt: now, Expiry: after(time.Hour)}, jwt.Terms{MaxLifetime: time.Hour}, nil},
		{"valid for too long", jwt.Claims{IssuedAt: now, Expiry: after(time.Hour + 1)}, jwt.Terms{MaxLifetime: time.Hour}, jwt.ErrTooLong},
		{"valid for a while from now on", jwt.Claims{Expiry: after(time.Hour + time.Minute)}, jwt.Terms{MaxLifetime: time.Hour, Skew: time.Minute}, nil},
		{"valid for too long from now on", jwt.Claims{Expiry: after(time.Hour + time.Minute + 1)}, jwt.Terms{MaxLifetime: time.Hour, Skew: time.Minute}, jwt.ErrTooLong},
		{"valid without end", jwt.Claims{}, jwt.Terms{MaxLifetime: time.Hour}, nil},
		{"of unknown age", jwt.Claims{}, jwt.Terms{MaxAge: 5 * time.Minute}, jwt.ErrTooOld},
		{"meant for one of us", jwt.Claims{Audience: []string{"x", "us"}}, jwt.Terms{Audience: []string{"us", "we"}}, nil},
		{"meant for others", jwt.Claims{Audience: []string{"x"}}, jwt.Terms{Audience: []string{"us"}}, jwt.ErrAudience},
		{"meant for nobody", jwt.Claims{}, jwt.Terms{Audience: []string{"us"}}, jwt.ErrAudience},
	} {
		if err := test.claims.Check(now, test.terms); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.sentence, err, test.want)
		}
	}
}

func TestCheckSaysTheTerms(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		sentence string
		claims   jwt.Claims
		terms    jwt.Terms
		want     string
	}{
		{"a token that is too old", jwt.Claims{IssuedAt: now.Add(-time.Hour)}, jwt.Terms{MaxAge: 5 * time.Minute}, "its iat must be at most 5m0s ago"},
		{"a token that is valid for too long", jwt.Claims{IssuedAt: now, Expiry: now.Add(3 * time.Hour)}, jwt.Terms{MaxLifetime: 2 * time.Hour}, "its exp must be at most 2h0m0s after its iat"},
	} {
		if err := test.claims.Check(now, test.terms); err == nil || !strings.HasSuffix(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.sentence, err, test.want)
		}
	}
}

func TestRegistered(t *testing.T) {
	if !jwt.Registered("jti") || jwt.Registered("client_id") {
		t.Error("jti is a registered claim, client_id is not")
	}
}

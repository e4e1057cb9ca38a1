package main

// Who registers, and which clients are used. Of 58 real registrations that were examined,
// 46 were never used, and 42 were the same as another one.

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
)

const (
	day       = 24 // hours
	days      = 365
	perSample = 58
	repeats   = 42 // of perSample
	unused    = 46 // of perSample
	popular   = 12 // programs that register again and again
	idleAfter = 90 * day
)

// registrant is a client that registers.
type registrant struct {
	body   string
	repeat bool
	uses   []int // the hours in which it is used
}

// next returns a random registrant for an hour.
func next(random *rand.Rand, hour int) registrant {
	var r registrant
	if r.repeat = random.IntN(perSample) < repeats; r.repeat {
		i := random.IntN(popular)
		r.body = fmt.Sprintf(`{"client_name":"Popular %d","redirect_uris":["http://127.0.0.1/callback","http://localhost/callback"],"token_endpoint_auth_method":"none"}`, i)
	} else {
		i := random.Uint64()
		r.body = fmt.Sprintf(`{"client_name":"App %x","redirect_uris":["https://app-%x.example.com/callback"]}`, i, i)
	}
	if random.IntN(perSample) < unused {
		return r
	}
	at := hour + 1 + random.IntN(20) // the first use is within a day
	for {
		r.uses = append(r.uses, at)
		if at >= days*day || random.IntN(3) == 0 {
			return r
		}
		at += 1 + min(int(random.ExpFloat64()*15*day), idleAfter-5*day)
	}
}

// user is a client in use: it was used or will be used, and is always used again before it
// counts as idle.
type user struct {
	credentials
	uses []int // the hours of the uses to come
}

func readCredentials(answer []byte) (*credentials, error) {
	var members struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	if err := json.Unmarshal(answer, &members); err != nil {
		return nil, err
	}
	return &credentials{members.ID, members.Secret}, nil
}

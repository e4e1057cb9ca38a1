package dcrtest

// RFC 6749 §3.1.2 and §10.6, RFC 8252 §7.3, RFC 9700 §2.1 and §4.1: mistakes at the
// authorization endpoint, and with its codes.

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/dynreg/dcr"
)

const askClient = "call Client.CheckAuthorization, which applies the same rules as registration"

var redirectCases = []hostCase{
	{"LoopbackPort", "a native application listens on whatever port the operating system assigns (RFC 8252 §7.3), so it cannot sign in", askClient, loopbackPort},
	{"LoopbackLookalike", "another program may listen at that address and receive the code", askClient, loopbackLookalike},
	{"LoopbackWeb", "only native applications may use any port: on a machine with many users, another port may belong to somebody else", askClient, loopbackWeb},
	{"WebLookalike", "unless redirect URIs are compared exactly (RFC 9700 §2.1), codes go to the wrong place", askClient, webLookalike},
	{"ResponseMode", "a client that sends the default response_mode cannot sign in", askClient, responseMode},
	{"UnvalidatedRedirect", "an open redirector lets a phishing link start with the address of the server (RFC 9700 §4.11)", "send an AuthorizationError only to its RedirectURI", unvalidatedRedirect},
}

// loopbackAtPort is a redirect URI at which nothing listens.
const loopbackAtPort = "http://127.0.0.1:49321/callback"

func loopbackPort(d *driver) error {
	for _, host := range []string{"127.0.0.1", "[::1]", "localhost"} {
		registered, asked := "http://"+host+"/callback", "http://"+host+":49321/callback"
		p, err := d.nativeAt(registered)
		if err != nil {
			return err
		}
		query, _ := d.request(p)
		query.Set("redirect_uri", asked)
		landed, err := d.open(query)
		if err != nil {
			return err
		}
		if landed.code == "" || landed.to != asked {
			return fmt.Errorf("the server answered %s to a native client that registered %s and requested %s", landed, registered, asked)
		}
	}
	return nil
}

func loopbackLookalike(d *driver) error {
	p, err := d.native()
	if err != nil {
		return err
	}
	return d.lookalikes(p,
		"http://localhost/callback", "http://localhost:49321/callback", "http://[::1]:49321/callback", "https://127.0.0.1/callback", "https://127.0.0.1:49321/callback",
		"http://user@127.0.0.1/callback", "http://user:pass@127.0.0.1:49321/callback", "http://127.0.0.2/callback", "http://127.0.0.1.evil.example/callback", "http://127.0.0.1@evil.example/callback",
		"http://127.0.0.1/other", "http://127.0.0.1/callback/", "http://127.0.0.1/callback/../other", "http://127.0.0.1/callback?to=evil", "http://127.0.0.1/callback#to=evil",
	)
}

func loopbackWeb(d *driver) error {
	web, err := d.web(func(client *dcr.Client) {
		client.ApplicationType, client.RedirectURIs = "web", []string{"http://127.0.0.1:49320/callback"}
	})
	if err != nil {
		return err
	}
	return d.lookalikes(web, loopbackAtPort, loopbackRedirect)
}

func webLookalike(d *driver) error {
	p, err := d.web(nil)
	if err != nil {
		return err
	}
	return d.lookalikes(p,
		"http://app.example.com/callback", "https://user@app.example.com/callback", "https://app.example.com:8443/callback", "https://app.example.com@evil.example/callback",
		"https://app.example.com.evil.example/callback", "https://sub.app.example.com/callback", "https://app.example.com/other", "https://app.example.com/callback/",
		"https://app.example.com/callback/../other", "https://app.example.com/callback/more", "https://app.example.com/callback?to=evil", "https://app.example.com/callback#to=evil", "https://app.example.com/Callback",
	)
}

func responseMode(d *driver) error {
	parties, err := d.both()
	if err != nil {
		return err
	}
	for _, p := range parties {
		if _, err := d.ticket(p); err != nil {
			return err
		}
		query, _ := d.request(p)
		query.Set("response_mode", "query")
		landed, err := d.open(query)
		if err != nil {
			return err
		}
		if landed.code == "" {
			return fmt.Errorf("the server answered %s to %s that sent response_mode=query", landed, p.what)
		}
	}
	return nil
}

// lookalikes reports the URIs to which the server sends a code.
func (d *driver) lookalikes(p *party, uris ...string) error {
	if _, err := d.ticket(p); err != nil {
		return err
	}
	var sent []string
	for _, uri := range uris {
		query, _ := d.request(p)
		query.Set("redirect_uri", uri)
		landed, err := d.open(query)
		if err != nil {
			return err
		}
		if landed.code != "" && (landed.to != p.RedirectURIs[0] || strings.Contains(landed.whole, "to=evil")) {
			sent = append(sent, uri)
		}
	}
	if sent != nil {
		return fmt.Errorf("the server sent codes to %s, but %s registered %s", strings.Join(sent, " and "), p.what, p.RedirectURIs[0])
	}
	return nil
}

func unvalidatedRedirect(d *driver) error {
	parties, err := d.both()
	if err != nil {
		return err
	}
	const evil = "https://evil.example/callback"
	wrong := map[string]func(query url.Values){
		"an unknown client":      func(query url.Values) { query.Set("client_id", "nobody") },
		"a wrong redirect URI":   func(url.Values) {},
		"a wrong response type":  func(query url.Values) { query.Set("response_type", "nonsense") },
		"a wrong response mode":  func(query url.Values) { query.Set("response_mode", "nonsense") },
		"a wrong scope":          func(query url.Values) { query.Set("scope", d.host.Scopes[1]) },
		"no scope":               func(query url.Values) { query.Del("scope") },
		"no challenge":           func(query url.Values) { query.Del("code_challenge") },
		"prompt none":            func(query url.Values) { query.Set("prompt", "none") },
		"a wrong request object": func(query url.Values) { query.Set("request", "nonsense") },
	}
	for _, p := range parties {
		for what, change := range wrong {
			query, _ := d.request(p)
			query.Set("redirect_uri", evil)
			change(query)
			landed, err := d.open(query)
			if err != nil {
				return err
			}
			if landed.to == evil {
				return fmt.Errorf("the server answered a request with %s with %s, which no client registered as a redirect URI", what, landed)
			}
		}
	}
	return nil
}

const verifyCode = "call Client.CheckAuthorization, store the challenge with the code, and call Client.VerifyCodeVerifier"

var challengeCases = []hostCase{
	{"NoChallenge", "someone who steals a code can redeem it, and codes are stolen from loopback and private-use redirects (RFC 9700 §2.1.1)", verifyCode, noChallenge},
	{"NoVerifier", "a challenge protects a code only if the verifier is checked (RFC 7636 §4.6)", verifyCode, noVerifier},
	{"WrongVerifier", "a challenge protects a code only if the verifier is checked (RFC 7636 §4.6)", verifyCode, wrongVerifier},
	{"PlainChallenge", "a plain challenge is the verifier itself, and authorization requests leak (RFC 9700 §2.1.1)", verifyCode, plainChallenge},
	{"PKCEDowngrade", "an attacker who removes the challenge from a request can make the client redeem somebody else's code (RFC 9700 §4.8.2)", verifyCode, pkceDowngrade},
}

// misredeems reports a code that was wrongly redeemed.
func (d *driver) misredeems(p *party, query url.Values, form url.Values, what string) error {
	landed, err := d.open(query)
	if err != nil || landed.code == "" {
		return err
	}
	form.Set("code", landed.code)
	by, err := p.own(d)
	if err != nil {
		return err
	}
	got, err := d.call(d.document.Token, by, form)
	if err == nil && got.issued() {
		return fmt.Errorf("the server redeemed a code of %s %s", p.what, what)
	}
	return err
}

// eachMisredeems is misredeems for clients of both kinds. It first checks that a correct
// flow works.
func (d *driver) eachMisredeems(what string, change func(query, form url.Values)) error {
	parties, err := d.both()
	if err != nil {
		return err
	}
	for _, p := range parties {
		if _, err := d.tokens(p); err != nil {
			return err
		}
		query, ticket := d.request(p)
		form := ticket.form()
		change(query, form)
		if err := d.misredeems(p, query, form, what); err != nil {
			return err
		}
	}
	return nil
}

func noChallenge(d *driver) error {
	return d.eachMisredeems("that had no challenge", func(query, form url.Values) {
		query.Del("code_challenge")
		query.Del("code_challenge_method")
		form.Del("code_verifier")
	})
}

func noVerifier(d *driver) error {
	return d.eachMisredeems("without its verifier", func(_, form url.Values) { form.Del("code_verifier") })
}

func wrongVerifier(d *driver) error {
	return d.eachMisredeems("with a wrong verifier", func(_, form url.Values) { form.Set("code_verifier", strings.Repeat("wrong-", 8)) })
}

func plainChallenge(d *driver) error {
	for _, method := range []string{"plain", ""} {
		err := d.eachMisredeems(fmt.Sprintf("with a plain challenge (code_challenge_method %q)", method), func(query, form url.Values) {
			query.Set("code_challenge", form.Get("code_verifier"))
			query.Set("code_challenge_method", method)
			if method == "" {
				query.Del("code_challenge_method")
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func pkceDowngrade(d *driver) error {
	p, err := d.web(func(client *dcr.Client) { client.RequirePKCE = false })
	if err != nil {
		return err
	}
	if _, err := d.tokens(p); err != nil {
		return err
	}
	query, ticket := d.request(p)
	query.Del("code_challenge")
	query.Del("code_challenge_method")
	return d.misredeems(p, query, ticket.form(), "that had no challenge, with a verifier")
}

var codeCases = []hostCase{
	{"CodeTwice", "a code must work only once, because logs and browser histories contain used codes (RFC 6749 §4.1.2)", "remove the code from storage in one atomic step before you redeem it", codeTwice},
	{"CodeOtherClient", "another client can redeem a stolen code (RFC 6749 §4.1.3)", "compare the client that the code was issued to with Authentication.Client of clientauth", codeOtherClient},
	{"CodeOtherRedirect", "without a challenge, only the redirect URI shows that a code was not stolen (RFC 6749 §4.1.3)", "store Authorization.RedirectURI with the code, and compare it with redirect_uri", codeOtherRedirect},
}

func codeTwice(d *driver) error {
	parties, err := d.both()
	if err != nil {
		return err
	}
	for _, p := range parties {
		bought, err := d.ticket(p)
		if err != nil {
			return err
		}
		if _, err := d.right(p, bought.form()); err != nil {
			return err
		}
		if err := d.refused(p, bought.form(), "redeemed a code of %s twice", p.what); err != nil {
			return err
		}
	}
	return nil
}

// refused reports a token that a client must not get.
func (d *driver) refused(p *party, form url.Values, did string, args ...any) error {
	by, err := p.own(d)
	if err != nil {
		return err
	}
	return d.refusedBy(by, form, did, args...)
}

func (d *driver) refusedBy(by credentials, form url.Values, did string, args ...any) error {
	got, err := d.call(d.document.Token, by, form)
	if err == nil && got.issued() {
		return fmt.Errorf("the server "+did, args...)
	}
	return err
}

func codeOtherClient(d *driver) error {
	return d.eachThief(func(owner *party) (url.Values, error) {
		bought, err := d.ticket(owner)
		return bought.form(), err
	}, "redeemed a code of %s for another client, %s")
}

// eachThief lets clients of both kinds use what was issued to clients of both kinds.
func (d *driver) eachThief(steal func(owner *party) (url.Values, error), did string) error {
	owners, err := d.both()
	if err != nil {
		return err
	}
	thieves, err := d.both()
	if err != nil {
		return err
	}
	for _, owner := range owners {
		if _, err := d.tokens(owner); err != nil {
			return err
		}
		for _, thief := range thieves {
			form, err := steal(owner)
			if err != nil {
				return err
			}
			if err := d.refused(thief, form, did, owner.what, thief.what); err != nil {
				return err
			}
		}
	}
	return nil
}

// codeOtherRedirect uses no challenge, because a challenge can make up for a redirect URI
// that is not compared.
func codeOtherRedirect(d *driver) error {
	const second = webRedirect + "/second"
	p, err := d.web(func(client *dcr.Client) {
		client.RequirePKCE = false
		client.RedirectURIs = append(slices.Clone(client.RedirectURIs), second)
	})
	if err != nil {
		return err
	}
	if _, err := d.tokens(p); err != nil {
		return err
	}
	for _, other := range []string{second, "https://evil.example/callback", ""} {
		query, _ := d.request(p)
		query.Del("code_challenge")
		query.Del("code_challenge_method")
		form := ticket{redirect: other}.form()
		if other == "" {
			form.Del("redirect_uri")
		}
		if err := d.misredeems(p, query, form, fmt.Sprintf("that was sent to %s with redirect_uri %q and no challenge", webRedirect, other)); err != nil {
			return err
		}
	}
	return nil
}

package main

// The command line.

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/examples/internal/database"
	"github.com/dynreg/dcr/examples/internal/fetchflags"
	"github.com/dynreg/dcr/examples/internal/presets"
)

// parseFlags reads the command line. Its error is one line; flag.ErrHelp, after help
// went to out, is none.
func parseFlags(args []string, out io.Writer) (*settings, error) {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // its errors come with all that -help says
	flags.Usage = func() {}
	s := &settings{FlagSet: flags, statements: dcr.StatementVerifier{Issuers: make(map[string]dcr.KeySource)}}
	flags.StringVar(&s.addr, "addr", "127.0.0.1:8080", "listen on this `address`")
	flags.StringVar(&s.options.Endpoint, "endpoint", "", "the public `URL` of the registration endpoint (default from the bound address)")
	flags.Var((*pages)(&s.options.CORS), "cors", "let web pages register: of every origin or, with -cors=`ORIGIN`, of that one (repeatable)")
	flags.StringVar(&s.database, "db", "sqlite:quickstart.db", database.Help)
	flags.Int64Var(&s.options.MaxClients, "max-clients", 0, "hold at most `N` clients: the oldest that was never used makes room (default no bound)")
	s.authorizationFlags()
	s.policyFlags()
	s.credentialFlags()
	s.validator.Fetch = fetchflags.Add(s.FlagSet)
	s.documentFlags()
	flags.BoolVar(&s.verbose, "v", false, "log more: why a client was refused, and what went wrong on the way")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, "quickstart registers OAuth clients:\n\n\tgo run ./examples/quickstart [flags]\n\n")
		flags.SetOutput(out)
		flags.PrintDefaults()
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w; -help lists the flags", err)
	case flags.NArg() > 0:
		return nil, fmt.Errorf("%q is not a flag; -help lists the flags", flags.Arg(0))
	}
	if s.token != "" && (s.options.AllowAnonymous || s.accessTokens.Issuer != "") {
		return nil, errors.New("-token has no effect with -open or -bearer; leave it out")
	}
	if s.token != "" && len(s.token) < 16 {
		return nil, errors.New("-token must have at least 16 characters")
	}
	return s, nil
}

func (s *settings) authorizationFlags() {
	s.BoolVar(&s.options.AllowAnonymous, "open", false, "let anybody register, without a token")
	s.StringVar(&s.token, "token", "", "let in who bears this `token`, of 16 characters at least, rather than one that is made at start")
	s.IntVar(&s.initialTokenUses, "initial-token", 0, "issue an initial access token that registers `N` clients")
	s.StringVar(&s.accessTokens.Issuer, "bearer", "", "let in who bears a JWT access token of this `issuer`")
	s.StringVar(&s.accessTokens.Audience, "audience", "", "the `audience` that such a token must have (default the endpoint)")
	s.Func("scope", "the `scopes` that such a token must have, separated by spaces", func(scopes string) error {
		s.accessTokens.Scopes = strings.Fields(scopes)
		return nil
	})
}

func (s *settings) policyFlags() {
	all := presets.All(clientCertificate)
	s.Func("preset", "register under a ready-made `policy`: "+all.Names(), func(name string) (err error) {
		s.preset, err = all.Find(name)
		return err
	})
	s.Func("capabilities", "read what the server supports from a discovery document in `FILE`", func(file string) error {
		return readFile(file, func(text []byte) error { return json.Unmarshal(text, &s.capabilities) })
	})
	s.Func("default-scope", "give clients that ask for no scope these `scopes`, separated by spaces", func(scopes string) error {
		s.validator.DefaultScopes = strings.Fields(scopes)
		return nil
	})
	s.BoolVar(&s.duende, "duende", false, "accept Duende IdentityServer's extension members")
	s.BoolVar(&believeClientCert, "client-cert", false, "believe the Client-Cert header, which a proxy in front must set or remove")
	s.BoolVar(&s.validator.AllowHTTPRedirects, "allow-http-redirects", false, "allow remote http redirect URIs to confidential clients")

	s.Func("statement-issuer", "trust software statements of an issuer: `ISS=FILE` or ISS=URL of its JWKS (repeatable)", func(pair string) (err error) {
		issuer, keys, _ := strings.Cut(pair, "=")
		s.statements.Issuers[issuer], err = keySource(keys)
		return err
	})
	s.BoolVar(&s.statements.Required, "require-statement", false, "register nobody without a software statement")
}

func (s *settings) credentialFlags() {
	s.DurationVar(&s.options.SecretLifetime, "secret-lifetime", 0, "let client secrets expire after this `duration` (default never)")
	s.BoolVar(&s.options.RotateSecret, "rotate-secret", false, "issue a new client secret with every update")
	s.BoolVar(&s.options.RotateRegistrationToken, "rotate-registration-token", false, "issue a new registration access token with every update")
	s.Func("secret-key", "keep secrets that the server must read encrypted with the 32 bytes in `FILE`", func(file string) error {
		return readFile(file, func(key []byte) (err error) {
			s.options.Sealer, err = dcr.NewAESSealer(key)
			return err
		})
	})
}

func readFile(file string, use func(content []byte) error) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := use(content); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// keySource is a JWKS at a URL, or in a file. JWKSURL panics on a URL that is
// of no use, since it is the program that names one. Here its user does.
func keySource(where string) (source dcr.KeySource, err error) {
	if strings.Contains(where, "://") {
		defer func() {
			if wrong := recover(); wrong != nil {
				err = fmt.Errorf("%v", wrong)
			}
		}()
		return dcr.JWKSURL(where, nil), nil
	}
	jwks, err := os.ReadFile(where)
	return dcr.StaticKeys(jwks), err
}

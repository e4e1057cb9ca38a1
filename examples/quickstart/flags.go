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

// parseFlags reads the command line. Its error has one line. It returns flag.ErrHelp
// after it has printed help to out.
func parseFlags(args []string, out io.Writer) (*settings, error) {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // package flag prints all of the help after an error
	flags.Usage = func() {}
	s := &settings{FlagSet: flags, statements: dcr.StatementVerifier{Issuers: make(map[string]dcr.KeySource)}}
	flags.StringVar(&s.addr, "addr", "127.0.0.1:8080", "listen on this `address`")
	flags.StringVar(&s.options.Endpoint, "endpoint", "", "the public `URL` of the registration endpoint (default from the bound address)")
	flags.Var((*pages)(&s.options.CORS), "cors", "let web pages register: from every origin or, with -cors=`ORIGIN`, from that one (repeatable)")
	flags.StringVar(&s.database, "db", "sqlite:quickstart.db", database.Help)
	flags.Int64Var(&s.options.MaxClients, "max-clients", 0, "store at most `N` clients, and delete the oldest unused one to make room (default no limit)")
	s.authorizationFlags()
	s.policyFlags()
	s.credentialFlags()
	s.validator.Fetch = fetchflags.Add(s.FlagSet)
	s.documentFlags()
	flags.BoolVar(&s.verbose, "v", false, "log more, such as why a client was refused")
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
	s.StringVar(&s.token, "token", "", "accept this `token`, of at least 16 characters, instead of one that is created at start")
	s.IntVar(&s.initialTokenUses, "initial-token", 0, "issue an initial access token that registers `N` clients")
	s.StringVar(&s.accessTokens.Issuer, "bearer", "", "accept JWT access tokens of this `issuer`")
	s.StringVar(&s.accessTokens.Audience, "audience", "", "the `audience` that a -bearer token must have (default the endpoint)")
	s.Func("scope", "the `scopes` that a -bearer token must have, separated by spaces", func(scopes string) error {
		s.accessTokens.Scopes = strings.Fields(scopes)
		return nil
	})
}

func (s *settings) policyFlags() {
	all := presets.All(clientCertificate)
	s.Func("preset", "register under a ready-made `policy`: "+all.Names()+" (ConsumerDataRight, LTI and UDAP need settings in code)", func(name string) (err error) {
		s.preset, err = all.Find(name)
		return err
	})
	s.Func("capabilities", "read what the server supports from a discovery document in `FILE`", func(file string) error {
		return readFile(file, func(text []byte) error { return json.Unmarshal(text, &s.capabilities) })
	})
	s.Func("default-scope", "register these `scopes`, separated by spaces, for clients that request none", func(scopes string) error {
		s.validator.DefaultScopes = strings.Fields(scopes)
		return nil
	})
	s.BoolVar(&s.duende, "duende", false, "accept Duende IdentityServer's extension members")
	s.BoolVar(&believeClientCert, "client-cert", false, "trust the Client-Cert header, which a proxy in front must set or remove")
	s.BoolVar(&s.validator.AllowHTTPRedirects, "allow-http-redirects", false, "allow remote http redirect URIs for confidential clients")

	s.Func("statement-issuer", "trust software statements of an issuer: `ISS=FILE` or ISS=URL, with its JWKS (repeatable)", func(pair string) (err error) {
		issuer, keys, _ := strings.Cut(pair, "=")
		s.statements.Issuers[issuer], err = keySource(keys)
		return err
	})
	s.BoolVar(&s.statements.Required, "require-statement", false, "refuse clients without a software statement")
}

func (s *settings) credentialFlags() {
	s.DurationVar(&s.options.SecretLifetime, "secret-lifetime", 0, "expire client secrets after this `duration` (default never)")
	s.BoolVar(&s.options.RotateSecret, "rotate-secret", false, "issue a new client secret with every update")
	s.BoolVar(&s.options.RotateRegistrationToken, "rotate-registration-token", false, "issue a new registration access token with every update")
	s.Func("secret-key", "encrypt the secrets that the server must read with the 32 bytes in `FILE`", func(file string) error {
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

// keySource returns the JWKS at a URL or in a file. JWKSURL panics on an invalid URL,
// because URLs are usually in the program. Here the user enters it.
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

package dcr

// OpenID Connect Dynamic Client Registration 1.0 §2 and OpenID Connect RP
// Metadata Choices 1.0: members whose value is one of a list that the server
// supports, among them every algorithm.

import (
	"cmp"
	"slices"
	"strings"

	"github.com/dynreg/dcr/internal/jose"
	"github.com/dynreg/dcr/internal/record"
)

const standardEnc = "A128CBC-HS256" // the default of every *_enc member

// lists has, at the place of each member that has a list of alternatives, the
// name of that list and the discovery member of the same name.
var lists = func() []listed {
	found := make([]listed, len(members.Fields))
	for i := range members.Fields {
		if name := members.Fields[i].Tag.Get("list"); name != "" {
			place, _ := capabilityMembers.Find(name)
			found[i] = listed{name: name, ceiling: &capabilityMembers.Fields[place]}
		}
	}
	return found
}()

type listed struct {
	name    string
	ceiling *record.Field[Capabilities]
}

// ceiling returns what the server supports for a member that has a list: the
// discovery member of that name.
func (c *Capabilities) ceiling(f *registered) []string {
	supported := lists[f.Place].ceiling.List(c)
	if supported == nil {
		return defaultSigningAlgs
	}
	return supported
}

// AlgorithmMember is a registered member that names an algorithm (RFC 7518),
// together with the discovery member that lists which algorithms the server
// supports for it. A rule about algorithms that ranges over [AlgorithmMembers]
// covers all of them.
type AlgorithmMember struct {
	Name      string // the member's name, such as id_token_signed_response_alg
	List      string // the discovery member's name, such as id_token_signing_alg_values_supported; also its key in Request.Choices
	Signature bool   // it names a signature algorithm; if false, one for encryption (*_alg or *_enc)

	member  *registered
	ceiling *record.Field[Capabilities]
}

// Value returns a pointer to the member in m.
func (a AlgorithmMember) Value(m *Metadata) *string { return a.member.TextAt(m) }

// Ceiling returns a pointer to the discovery member in c.
func (a AlgorithmMember) Ceiling(c *Capabilities) *[]string { return a.ceiling.ListAt(c) }

// AlgorithmMembers returns every registered member that names an algorithm, in
// the order of the fields of [Metadata].
func AlgorithmMembers() []AlgorithmMember { return slices.Clone(algorithmMembers) }

var algorithmMembers = func() (found []AlgorithmMember) {
	for i := range members.Fields {
		f, list := &members.Fields[i], lists[i]
		if strings.HasSuffix(f.Name, "_alg") || strings.HasSuffix(f.Name, "_enc") {
			found = append(found, AlgorithmMember{
				Name: f.Name, List: list.name, Signature: strings.Contains(list.name, "_signing_alg"),
				member: f, ceiling: list.ceiling,
			})
		}
	}
	return found
}()

// settle sets a member to its effective value, which the server always
// supports: the value asked for, an alternative that the registrant listed, or
// the fallback ("" for none).
func (reg *Registration) settle(f *registered, fallback string) error {
	if !reg.on.has(f.Place) {
		return nil
	}
	value, err := reg.pick(f, fallback, reg.Capabilities.ceiling(f))
	if err == nil {
		f.SetText(&reg.Client.Metadata, value)
	}
	return err
}

// pick finds the effective value of a member without setting it: the one asked
// for, else one of the registrant's list, else the fallback, else what the
// server supports. The order of the registrant's list is no preference (RP
// Metadata Choices §2), so the server's order decides. With ExactDefaults an
// absent member can only mean the fallback, and the strongest of the listed
// methods is chosen.
func (reg *Registration) pick(f *registered, fallback string, supported []string) (string, error) {
	asked := f.Text(&reg.Client.Metadata)
	name, list := f.Name, lists[f.Place].name
	choices := reg.Choices(list)
	blamed, sentence := list, "must contain one of: %s"
	switch {
	case asked != "" && choices != nil && !slices.Contains(choices, asked):
		return "", refuseMember(list, "choice", "must contain the value of %s", name)
	case asked == "" && choices == nil && fallback == "":
		return "", nil
	case choices == nil:
		blamed, sentence = name, "must be one of: %s"
	}
	exact := reg.ExactDefaults && name != "subject_type" // for which no specification has a default
	if asked == "" && choices == nil && !exact {
		choices = supported
	}
	listed := exact && f == authMethod && choices != nil
	if asked == "" && (choices == nil || slices.Contains(choices, fallback) && !listed) {
		asked = fallback
	}
	if slices.Contains(supported, asked) {
		return asked, nil
	}
	if choices = among(supported, choices); len(choices) == 0 {
		return "", refuseMember(blamed, "unsupported", sentence, orNone(supported))
	}
	if listed {
		slices.SortStableFunc(choices, func(a, b string) int { return weakness(a) - weakness(b) })
	}
	i := slices.IndexFunc(choices, func(value string) bool { return reg.serves(name, value) })
	return choices[max(i, 0)], nil
}

// weakness orders authentication methods, the strongest first.
func weakness(method string) int {
	switch method {
	case "private_key_jwt":
		return 0
	case "none":
		return 2
	}
	return 1
}

// Choices returns the alternatives for a member, by the name of its list, such as
// token_endpoint_auth_methods_supported (OpenID Connect RP Metadata Choices 1.0).
// They are those of the request or, if a software statement decides about the member,
// those that the statement allows; nil if there are none. Call it once
// ValidateSoftwareStatement has run.
func (reg *Registration) Choices(list string) []string {
	if settled, claimed := reg.alternatives[list]; claimed {
		return settled
	}
	return reg.Request.Choices[list]
}

// serves reports whether a value works for a client that left the choice to the
// server.
func (reg *Registration) serves(name, value string) bool {
	if name == "token_endpoint_auth_method" {
		return true
	}
	return value != "none" && (!jose.Symmetric(value) || reg.canSeal && reg.Client.TokenEndpointAuthMethod != "none")
}

// settleEncryption settles a pair of *_alg and *_enc: enc needs alg, and gets
// its default if alg is set.
func (reg *Registration) settleEncryption(alg, enc *registered) error {
	if !reg.on.has(alg.Place) {
		return nil
	}
	if err := reg.settle(alg, ""); err != nil {
		return err
	}
	if err := reg.checkEncPair(alg, enc); err != nil {
		return err
	}
	if alg.IsZero(&reg.Client.Metadata) {
		return nil // a list of enc values alone asks for nothing
	}
	return reg.settle(enc, standardEnc)
}

func (reg *Registration) checkEncPair(alg, enc *registered) error {
	from := &reg.Client.Metadata
	if alg.Text(from) == "" && enc.Text(from) != "" {
		return refuseMember(enc.Name, "alone", "must come with %s", alg.Name)
	}
	return nil
}

// encryptionPairs are the members that name a JWE algorithm, each with its
// content encryption. needsKeys says that the server encrypts to the client's
// key.
var encryptionPairs = []struct {
	alg, enc  *registered
	needsKeys bool
}{
	{member("id_token_encrypted_response_alg"), member("id_token_encrypted_response_enc"), true},
	{member("userinfo_encrypted_response_alg"), member("userinfo_encrypted_response_enc"), true},
	{member("authorization_encrypted_response_alg"), member("authorization_encrypted_response_enc"), true},
	{member("introspection_encrypted_response_alg"), member("introspection_encrypted_response_enc"), true},
	{member("request_object_encryption_alg"), member("request_object_encryption_enc"), false},
}

// clientSigns are the members that name an algorithm that the client signs
// with.
var clientSigns = []*registered{
	member("token_endpoint_auth_signing_alg"), member("request_object_signing_alg"), member("backchannel_authentication_request_signing_alg"),
}

// algMembers are all members that name an algorithm.
var algMembers = func() (algs []*registered) {
	for i := range members.Fields {
		if f := &members.Fields[i]; strings.HasSuffix(f.Name, "_alg") {
			algs = append(algs, f)
		}
	}
	return algs
}()

// symmetricNeed returns the first member for which the server needs the client
// secret itself, "" if there is none, and how many bytes the secret must have.
func (c *Client) symmetricNeed() (name string, bytes int) {
	from := &c.Metadata
	for _, f := range algMembers {
		alg := f.Text(from)
		if !jose.Symmetric(alg) {
			continue
		}
		if name == "" {
			name = f.Name
		}
		enc := ""
		for _, pair := range encryptionPairs {
			if pair.alg == f {
				enc = pair.enc.Text(from)
			}
		}
		bytes = max(bytes, jose.MinSecretBytes(alg, enc))
	}
	if c.TokenEndpointAuthMethod == "client_secret_jwt" && c.TokenEndpointAuthSigningAlg == "" {
		name, bytes = cmp.Or(name, "token_endpoint_auth_method"), max(bytes, jose.MinSecretBytes("HS512", "")) // any HS* may come
	}
	return name, bytes
}

// checkSymmetric refuses symmetric algorithms if the client has no secret or
// the server cannot keep the secret itself (OpenID Connect Core 1.0 §10.1).
func (reg *Registration) checkSymmetric() error {
	name, _ := reg.Client.symmetricNeed()
	switch {
	case name == "":
		return nil
	case reg.Client.TokenEndpointAuthMethod == "none":
		return refuseMember(name, "public", "must not be symmetric for a client without a secret")
	case !reg.canSeal:
		return refuseMember(name, "sealed", "must not need the client secret itself: this server keeps only its hash, so use an asymmetric algorithm or method")
	}
	return nil
}

// checkKeyNeeds refuses asymmetric algorithms that need a key of the client if
// its keys are not known.
func (reg *Registration) checkKeyNeeds() error {
	c := reg.Client
	if reg.namesKeys() {
		return nil
	}
	from := &c.Metadata
	for _, f := range clientSigns {
		if jose.Asymmetric(f.Text(from)) && !reg.keys.Sig {
			return refuseMember(f.Name, "keys", "needs a signing key in jwks, or jwks_uri")
		}
	}
	for _, pair := range encryptionPairs {
		if pair.needsKeys && jose.Asymmetric(pair.alg.Text(from)) && !reg.keys.Enc {
			return refuseMember(pair.alg.Name, "keys", "needs an encryption key in jwks, or jwks_uri")
		}
	}
	return nil
}

package spec_test

// A client keeps its identity: which statements an update may have, and who may
// read, update and delete a client.

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

// believing is a validator of a host whose own step verifies statements. Here
// they are plain JSON.
type believing struct{ dcr.DefaultValidator }

func (v believing) ValidateSoftwareStatement(ctx context.Context, reg *dcr.Registration) error {
	if reg.Request.SoftwareStatement == "" {
		return nil
	}
	var said struct {
		Iss, ID    string
		SoftwareID string `json:"software_id"`
		Name       string `json:"client_name"`
	}
	if err := json.Unmarshal([]byte(reg.Request.SoftwareStatement), &said); err != nil {
		return err
	}
	reg.Statement = &dcr.SoftwareStatement{Issuer: said.Iss, ID: said.ID, Metadata: dcr.Metadata{SoftwareID: said.SoftwareID, ClientName: said.Name}}
	return nil
}

// TestAnUpdateIsOfTheSameSoftware checks that the statement of an update must
// have the same issuer and software, even if a step of the host verified it.
func TestAnUpdateIsOfTheSameSoftware(t *testing.T) {
	es, other := signers()["ES256"], "https://other.example"
	named := object{"iss": directory, "jti": "1", "software_id": "payments", "client_name": "Payments"}
	nameless := named.with("software_id", nil)
	for _, c := range []struct {
		sentence      string
		first, second object
		idClaim       string
		code          dcr.Code // "" if it is updated
	}{
		{"a fresh statement", named, named.with("jti", "2", "client_name", "Renamed"), "", ""},
		{"other software", named, named.with("software_id", "lending"), "", dcr.UnapprovedSoftwareStatement},
		{"other software that differs in case", named, named.with("software_id", "Payments"), "", dcr.UnapprovedSoftwareStatement},
		{"another issuer with the same claims", named, named.with("iss", other), "", dcr.UnapprovedSoftwareStatement},
		{"software without a name", named, nameless, "", dcr.UnapprovedSoftwareStatement},
		{"software that gets a name", nameless, named, "", dcr.UnapprovedSoftwareStatement},
		{"the same statement for software without a name", nameless, nameless, "", ""},
		{"another statement for software without a name", nameless, nameless.with("jti", "2", "client_name", "Bank"), "", dcr.UnapprovedSoftwareStatement},
		{"the same id in a claim that the host names", named.with("device", "a"), named.with("device", "a", "jti", "2"), "device", ""},
		{"another id in a claim that the host names", named.with("device", "a"), named.with("device", "b"), "device", dcr.UnapprovedSoftwareStatement},
		{"the software is the id", named, named.with("jti", "2"), "software_id", ""},
	} {
		for name, run := range map[string]func(t *testing.T, allow bool) (http.Handler, func(object) string){
			"by the verifier": func(t *testing.T, allow bool) (http.Handler, func(object) string) {
				handler, _ := trusting(t, &dcr.StatementVerifier{
					Issuers: map[string]dcr.KeySource{directory: es.keys(), other: es.keys()}, IDClaim: c.idClaim, AllowOtherSoftware: allow,
				})
				return handler, func(claims object) string { return es.sign(claims) }
			},
			"by a step of the host": func(t *testing.T, allow bool) (http.Handler, func(object) string) {
				handler, _ := trusting(t, &dcr.StatementVerifier{AllowOtherSoftware: allow, IDClaim: c.idClaim}, func(v *dcr.DefaultValidator, o *dcr.Options) { o.Validator = believing{*v} })
				return handler, func(claims object) string {
					id := claims["jti"]
					if c.idClaim != "" {
						id = claims[c.idClaim]
					}
					return claims.with("id", id).String()
				}
			},
		} {
			for _, allow := range []bool{false, true} {
				t.Run(c.sentence+", "+name, func(t *testing.T) {
					handler, sign := run(t, allow)
					client := registerWith(t, handler, object{"software_statement": sign(c.first), "redirect_uris": []string{"https://a.example/"}})
					body := object{"software_statement": sign(c.second), "redirect_uris": []string{"https://b.example/"}}
					if c.code != "" && !allow {
						client.update(t, body, 400, c.code)
						path := registerURL + "?client_id=" + client.members["client_id"].(string)
						now := answered(t, ask(t, handler, "GET", path, client.members["registration_access_token"].(string), ""), 200, "")
						if now["client_name"] != c.first["client_name"] || !reflect.DeepEqual(now["redirect_uris"], []any{"https://a.example/"}) {
							t.Errorf("the refused update changed the client: %v", now)
						}
						client.update(t, body.with("software_statement", nil), 200, "")
						return
					}
					if members := client.update(t, body, 200, ""); members["client_name"] != c.second["client_name"] {
						t.Errorf("got %v", members)
					}
				})
			}
		}
	}
}

// governed is a policy that decides who may manage its clients.
type governed struct {
	dcr.DefaultValidator
	asked *[]string
	err   *error
}

func (g governed) AuthorizeManagement(r *http.Request, client *dcr.Client) error {
	*g.asked = append(*g.asked, "policy "+r.Method+" "+client.ClientName)
	return *g.err
}

// TestManagementIsAskedAbout checks that after the token or the caller, the host
// and then the policy are asked about every method before anything is answered
// or written.
func TestManagementIsAskedAbout(t *testing.T) {
	denied := dcr.Errorf(dcr.AccessDenied, "not with this certificate")
	var asked []string
	var byHost, byPolicy error
	r := start(t, `{}`, func(v *dcr.DefaultValidator, o *dcr.Options) {
		o.Validator = governed{*v, &asked, &byPolicy}
		o.ManageClient = func(r *http.Request, client *dcr.Client) error {
			asked = append(asked, "host "+r.Method+" "+client.ClientName)
			return byHost
		}
		o.Caller = func(r *http.Request) (*dcr.Caller, error) {
			if r.Header.Get("Authorization") == "Bearer admin" {
				return &dcr.Caller{Subject: "admin"}, nil
			}
			return nil, nil
		}
		o.ManageAs = func(*dcr.Caller, *dcr.Client) bool { return true }
		o.RotateRegistrationToken = true
	})
	registered := r.register(t, request(t, `{"client_name":"App"}`))
	registered = r.manage(t, "PUT", registered, registered.update(nil)) // the first token is in its grace period now
	uri, own := registered.text("registration_client_uri"), registered.text("registration_access_token")
	once := []string{"host PUT App", "policy PUT App"} // before the body is read, and again after it
	if !slices.Equal(asked, slices.Concat(once, once)) {
		t.Errorf("an update asked %q", asked)
	}
	before := r.client(t, registered)
	for _, token := range []string{own, "admin"} {
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			for _, c := range []struct {
				host, policy error
				status       int
				asks         int
			}{{denied, nil, 403, 1}, {nil, denied, 403, 2}, {errors.New("no connection"), nil, 500, 1}, {nil, errors.New("no connection"), 500, 2}} {
				asked, byHost, byPolicy = nil, c.host, c.policy
				a := r.do(t, method, uri, token, registered.update(map[string]any{"client_name": "Mallory"}))
				if a.status != c.status || strings.Contains(a.body, "client_id") || len(asked) != c.asks {
					t.Errorf("%s: status %d, asked %q: %s", method, a.status, asked, a.body)
				}
				if after := r.client(t, registered); after.Revision != before.Revision || len(after.RegistrationTokens) != 2 {
					t.Errorf("%s was refused but wrote: revision %d became %d", method, before.Revision, after.Revision)
				}
			}
		}
	}
	asked, byHost, byPolicy = nil, denied, denied
	if a := r.do(t, "GET", uri, "wrong", ""); a.status != 401 || len(asked) > 0 {
		t.Errorf("the hooks were asked about a stranger: status %d, %q", a.status, asked)
	}
	byHost, byPolicy = nil, nil
	if a := r.do(t, "DELETE", uri, own, ""); a.status != 204 {
		t.Errorf("status %d: %s", a.status, a.body)
	}
}

// TestManageByCallerOnly checks that, with the option or the policy, no
// registration access token is made, stored, returned or accepted.
func TestManageByCallerOnly(t *testing.T) {
	for name, change := range map[string]change{
		"by the option": func(_ *dcr.DefaultValidator, o *dcr.Options) { o.ManageByCallerOnly = true },
		"by the policy": func(v *dcr.DefaultValidator, _ *dcr.Options) { v.ManageByCallerOnly = true },
		"by a policy in a decorator": func(v *dcr.DefaultValidator, o *dcr.Options) {
			v.ManageByCallerOnly = true
			o.Validator = struct{ dcr.Validator }{*v}
		},
		"by a named policy": func(v *dcr.DefaultValidator, o *dcr.Options) {
			strict := *v
			strict.ManageByCallerOnly = true
			o.Policies = map[string]dcr.Validator{"strict": strict}
			o.ChoosePolicy = func(*http.Request, *dcr.Caller) (string, error) { return "strict", nil }
		},
	} {
		t.Run(name, func(t *testing.T) {
			lets := func(v *dcr.DefaultValidator, o *dcr.Options) {
				o.Caller = func(r *http.Request) (*dcr.Caller, error) {
					id, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer of-")
					if !found {
						return nil, nil
					}
					return &dcr.Caller{ClientID: id}, nil
				}
				o.ManageAs = func(caller *dcr.Caller, client *dcr.Client) bool { return caller.ClientID == client.ID }
			}
			store := memstore.New()
			before := newHandler(t, store, dcr.Options{AllowAnonymous: true}, lets)
			handler := newHandler(t, store, dcr.Options{AllowAnonymous: true, Validator: dcr.DefaultValidator{}}, lets, change)
			fresh := answered(t, ask(t, handler, "POST", registerURL, "", plainBody), 201, "")
			old := answered(t, ask(t, before, "POST", registerURL, "", plainBody), 201, "")
			oldToken := old["registration_access_token"].(string)
			if name == "by a named policy" {
				client, err := store.FindByClientID(t.Context(), old["client_id"].(string))
				if err != nil {
					t.Fatal(err)
				}
				client.Policy = "strict"
				if err := store.Update(t.Context(), client); err != nil {
					t.Fatal(err)
				}
			}
			for sentence, members := range map[string]object{"a new client": fresh, "an older client": old} {
				id := members["client_id"].(string)
				path := registerURL + "?client_id=" + id
				body := object{"client_id": id, "redirect_uris": []string{"https://b.example/"}}.String()
				for _, method := range []string{"GET", "PUT", "DELETE"} {
					answered(t, ask(t, handler, method, path, oldToken, body), 401, dcr.InvalidToken)
				}
				told := []object{
					answered(t, ask(t, handler, "GET", path, "of-"+id, ""), 200, ""),
					answered(t, ask(t, handler, "PUT", path, "of-"+id, body), 200, ""),
				}
				if sentence == "a new client" {
					told = append(told, members)
				}
				for _, members := range told {
					if members["registration_access_token"] != nil || members["registration_client_uri"] != nil {
						t.Errorf("%s gets a token: %v", sentence, members)
					}
				}
				client, err := store.FindByClientID(t.Context(), id)
				if err != nil || len(client.RegistrationTokens) > 0 {
					t.Errorf("%s has tokens: %v", sentence, err)
				}
				answered(t, ask(t, before, "GET", path, oldToken, ""), 401, dcr.InvalidToken)
				answered(t, ask(t, handler, "DELETE", path, "of-"+id, ""), 204, "")
			}
		})
	}
}

package dcr_test

import (
	"fmt"
	"html/template"
	"os"

	"github.com/dynreg/dcr"
)

// consentPage shows first what the client cannot choose. Names and hosts stand in
// a bdi, so that what is written from right to left moves nothing else.
var consentPage = template.Must(template.New("consent").Parse(`<p>May <b><bdi>{{.Identity}}</bdi></b> act for you?
{{with .Name}}<p>It calls itself “<bdi>{{.}}</bdi>”.{{end}}
<p>The answer goes to <bdi>{{.RedirectHost}}</bdi>.
{{range .Warnings}}<p role="note">{{.}}
{{end}}`))

// A consent page is made of what the client says and of what it cannot choose.
func ExampleClient_ConsentView() {
	client := dcr.NewClient()
	client.ID, client.Source = "app-1", dcr.SourceDynamic
	client.ClientName = "Contoso\u200b <b>Bank</b>"
	client.RedirectURIs = []string{"https://login.evil.example/callback"}
	view := client.ConsentView(dcr.ConsentOptions{
		RedirectURI: "https://login.evil.example/callback",
		Languages:   []string{"de-CH", "en"}, // of the person, from Accept-Language or their account
		Reserved:    map[string][]string{"Contoso": {"contoso.example", "*.contoso.example"}},
	})
	if err := consentPage.Execute(os.Stdout, view); err != nil {
		fmt.Println(err)
	}
	// Output:
	// <p>May <b><bdi>login.evil.example</bdi></b> act for you?
	// <p>It calls itself “<bdi>Contoso &lt;b&gt;Bank&lt;/b&gt;</bdi>”.
	// <p>The answer goes to <bdi>login.evil.example</bdi>.
	// <p role="note">It uses the name &#34;Contoso&#34;, which belongs to contoso.example, *.contoso.example.
	// <p role="note">Nobody here has reviewed this application.
}

// A rule of the host's own treats the clients of its own sites in another way.
func ExampleClient_IsAt() {
	client := dcr.NewClient()
	client.RedirectURIs = []string{"https://app.example.com/callback"}
	fmt.Println(client.IsAt([]string{"example.com", "*.example.com"}))
	client.RedirectURIs = append(client.RedirectURIs, "http://127.0.0.1/callback")
	fmt.Println(client.IsAt([]string{"example.com", "*.example.com"}))
	// Output:
	// true
	// false
}

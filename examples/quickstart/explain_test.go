package main

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestThePageExplains(t *testing.T) {
	p := start(t, "-db=memory:", "-preset=mcp")
	root := strings.TrimSuffix(p.endpoint, "connect/dcr")
	for _, test := range []struct {
		sentence, preset, says string
	}{
		{"the decision of this server", "", "201: it would be registered"},
		{"the decision of a preset", "oidc", "400: it would be refused"},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			response, err := http.PostForm(root, url.Values{"client": {"Cursor"}, "preset": {test.preset}})
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			text, err := io.ReadAll(response.Body)
			if err != nil || !strings.Contains(string(text), test.says) {
				t.Errorf("the page lacks %q: %v\n%s", test.says, err, text)
			}
		})
	}
	response, err := http.Get(root + "elsewhere")
	if err != nil || response.StatusCode != http.StatusNotFound {
		t.Errorf("a page that does not exist: %v %v", response, err)
	}
}

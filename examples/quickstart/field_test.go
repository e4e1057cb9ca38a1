package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// fieldCase is a case of testdata/field.json: a request that a real client sends, or
// that a public bug report describes, with the correct answer.
type fieldCase struct {
	ID, Source, Kind string
	Config           []json.RawMessage // flags; an object is a capabilities document
	exchange
	Steps []exchange
}

type exchange struct {
	Request struct {
		Method, Path string
		Headers      map[string]string
		Body         json.RawMessage
	}
	Expect struct {
		Status         json.RawMessage // a number, or several that are all correct
		Error          []string
		Members        map[string]any
		Present        []string
		Absent         []string
		Headers        map[string]string
		DescriptionHas string `json:"description_has"`
	}
}

// TestField replays all cases. At the end, no file of a database and no line of a log
// contains a credential that was issued.
func TestField(t *testing.T) {
	text, err := os.ReadFile("testdata/field.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []fieldCase
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	programs, directory := make(map[string]*program), t.TempDir()
	var credentials []string
	for _, c := range cases {
		config := fmt.Sprintf("%s", c.Config)
		if programs[config] == nil {
			file := filepath.Join(directory, fmt.Sprintf("%d.db", len(programs)))
			programs[config] = start(t, append([]string{"-db=sqlite:" + file}, c.flags(t)...)...)
		}
		t.Run(c.ID, func(t *testing.T) {
			steps := c.Steps
			if steps == nil {
				steps = []exchange{c.exchange}
			}
			issued := make(map[string]string)
			for _, step := range steps {
				for _, fault := range step.replay(t, programs[config], issued) {
					t.Errorf("%s (%s): %s\n%s", c.Kind, c.Source, fault, step.Request.Body)
				}
				for _, place := range []string{"{{RAT}}", "{{SECRET}}"} {
					if issued[place] != "" {
						credentials = append(credentials, issued[place])
					}
				}
			}
		})
	}
	if len(credentials) < 100 {
		t.Errorf("%d credentials were issued", len(credentials))
	}
	files, err := filepath.Glob(filepath.Join(directory, "*"))
	if err != nil || len(files) < len(programs) {
		t.Fatalf("%q: %v", files, err)
	}
	written := make(map[string][]byte)
	for _, file := range files {
		if written[filepath.Base(file)], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	for config, program := range programs {
		program.Process.Kill()
		program.Wait()
		written["the log of "+config] = program.log.Bytes()
	}
	for where, text := range written {
		for _, credential := range credentials {
			if bytes.Contains(text, []byte(credential)) {
				t.Errorf("%s contains a credential that was issued: %s", where, credential)
			}
		}
	}
}

func (c *fieldCase) flags(t *testing.T) (flags []string) {
	for _, raw := range c.Config {
		var flag string
		if json.Unmarshal(raw, &flag) != nil {
			flag = filepath.Join(t.TempDir(), "capabilities.json")
			if err := os.WriteFile(flag, raw, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		flags = append(flags, flag)
	}
	return flags
}

// replay sends the request and says what is wrong with the answer. issued has values
// from earlier answers.
func (e *exchange) replay(t *testing.T, p *program, issued map[string]string) (faults []string) {
	t.Helper()
	endpoint, err := url.Parse(p.endpoint)
	if err != nil {
		t.Fatal(err)
	}
	issued["{{PORT}}"] = endpoint.Port()
	fill := func(text string) string {
		for place, value := range issued {
			text = strings.ReplaceAll(text, place, value)
		}
		return text
	}
	body := []byte(e.Request.Body)
	if text := ""; json.Unmarshal(body, &text) == nil {
		body = []byte(text) // the body itself, which need not be JSON
	}
	target := fill(e.Request.Path)
	if !strings.HasPrefix(target, "http") {
		target = p.endpoint + target
	}
	r, err := http.NewRequest(e.Request.Method, target, bytes.NewReader([]byte(fill(string(body)))))
	if err != nil {
		t.Fatal(err)
	}
	if p.token != "" && r.Method == http.MethodPost {
		r.Header.Set("Authorization", "Bearer "+p.token)
	}
	for name, value := range e.Request.Headers {
		r.Header.Set(name, fill(value))
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	members := make(map[string]any)
	if response.StatusCode != http.StatusNoContent {
		json.NewDecoder(response.Body).Decode(&members)
	}
	for place, name := range map[string]string{"{{CLIENT_ID}}": "client_id", "{{RAT}}": "registration_access_token", "{{SECRET}}": "client_secret"} {
		if text, ok := members[name].(string); ok {
			issued[place] = text
		}
	}
	return e.judge(response, members)
}

func (e *exchange) judge(response *http.Response, members map[string]any) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	var statuses []int
	if one := 0; json.Unmarshal(e.Expect.Status, &one) == nil {
		statuses = []int{one}
	} else {
		json.Unmarshal(e.Expect.Status, &statuses)
	}
	if !slices.Contains(statuses, response.StatusCode) {
		fault("status %d, want %v: %v", response.StatusCode, statuses, members)
	}
	if code, _ := members["error"].(string); e.Expect.Error != nil && !slices.Contains(e.Expect.Error, code) {
		fault("error %q, want one of %q", code, e.Expect.Error)
	}
	for name, want := range e.Expect.Members {
		if have := members[name]; !reflect.DeepEqual(unordered(have), unordered(want)) {
			fault("%s is %v, want %v", name, have, want)
		}
	}
	for _, name := range e.Expect.Present {
		if members[name] == nil {
			fault("%s is missing", name)
		}
	}
	for _, name := range e.Expect.Absent {
		if have, there := members[name]; there {
			fault("%s is %v, want none", name, have)
		}
	}
	for name, want := range e.Expect.Headers {
		if have := response.Header.Get(name); !strings.Contains(have, want) {
			fault("%s is %q, which does not contain %q", name, have, want)
		}
	}
	if description, _ := members["error_description"].(string); !strings.Contains(description, e.Expect.DescriptionHas) {
		fault("error_description %q does not contain %q", description, e.Expect.DescriptionHas)
	}
	return faults
}

// unordered sorts a list of strings, because the order of lists has no meaning.
func unordered(value any) any {
	list, isList := value.([]any)
	if !isList {
		return value
	}
	sorted := make([]string, len(list))
	for i, entry := range list {
		sorted[i] = fmt.Sprint(entry)
	}
	slices.Sort(sorted)
	return sorted
}

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestMain runs the program itself when a test starts it, so that tests can kill it.
func TestMain(m *testing.M) {
	if os.Getenv("RUN_QUICKSTART") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// program is a running quickstart.
type program struct {
	*exec.Cmd
	endpoint, token, initialToken string

	line    string // to paste
	missing string // what a registration needs, if there is no line
	log     bytes.Buffer
	said    strings.Builder // its output until it was ready
}

// start runs quickstart until it is ready.
func start(t *testing.T, flags ...string) *program {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{Cmd: exec.Command(executable, append([]string{"-addr=127.0.0.1:0"}, flags...)...)}
	p.Env = append(os.Environ(), "RUN_QUICKSTART=1")
	p.Dir = t.TempDir()
	p.Stderr = &p.log
	output, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill(); p.Wait() })
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		p.said.WriteString(lines.Text() + "\n")
		if line, found := strings.CutPrefix(lines.Text(), "  curl "); found {
			p.line = line
		}
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "bearer token":
			p.token = value
		case "there is no line to paste, because a registration needs more here":
			p.missing = value
		case "initial-access-token":
			p.initialToken = value
		case "ready":
			p.endpoint = value
			return p
		}
	}
	p.Wait()
	t.Fatalf("quickstart %q ended before it was ready: %s", flags, &p.log)
	return nil
}

// answer is what the server answered.
type answer struct {
	status  int
	members map[string]any
}

func (a answer) text(member string) string { text, _ := a.members[member].(string); return text }

// send sends a request. It returns an error if the server was killed.
func send(method, url, token, body string) (a answer, err error) {
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return a, err
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return a, err
	}
	defer response.Body.Close()
	a.status = response.StatusCode
	if a.status == http.StatusNoContent {
		return a, nil
	}
	return a, json.NewDecoder(response.Body).Decode(&a.members)
}

// register registers a client, or ends the test.
func (p *program) register(t *testing.T, body string) answer {
	t.Helper()
	a, err := send(http.MethodPost, p.endpoint, p.token, body)
	if err != nil {
		t.Fatal(err)
	}
	if a.status != http.StatusCreated {
		t.Fatalf("registering %s: %d %v", body, a.status, a.members)
	}
	return a
}

const plain = `{"client_name":"My Dynamic App","redirect_uris":["https://app.example.com/callback"]}`

func TestOnlyTheTokenRegisters(t *testing.T) {
	p := start(t, "-db=memory:")
	p.register(t, plain)
	for _, token := range []string{"", p.token + "x"} {
		a, err := send(http.MethodPost, p.endpoint, token, plain)
		if err != nil || a.status != http.StatusUnauthorized {
			t.Errorf("token %q: %v %v", token, a, err)
		}
	}
}

func TestClientsOutliveTheKilledProcess(t *testing.T) {
	database := "-db=sqlite:" + filepath.Join(t.TempDir(), "clients.db")
	p := start(t, "-open", database)
	var all sync.WaitGroup
	var mu sync.Mutex
	var registered []answer
	enough := make(chan struct{})
	for range 8 {
		all.Go(func() {
			for {
				a, err := send(http.MethodPost, p.endpoint, "", plain)
				if err != nil || a.status != http.StatusCreated {
					return // killed
				}
				mu.Lock()
				if registered = append(registered, a); len(registered) == 50 {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	<-enough
	p.Process.Kill()
	all.Wait()

	second := start(t, database)
	for _, client := range registered {
		_, query, _ := strings.Cut(client.text("registration_client_uri"), "?")
		a, err := send(http.MethodGet, second.endpoint+"?"+query, client.text("registration_access_token"), "")
		if err != nil || a.status != http.StatusOK || a.text("client_id") != client.text("client_id") {
			t.Fatalf("one of %d clients is lost: %v %v", len(registered), a, err)
		}
	}
}

func TestSIGTERMEndsCleanly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "clients.db")
	p := start(t, "-db=sqlite:"+file)
	p.register(t, plain)
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(file + "-wal"); err == nil {
		t.Error("the database was not closed")
	}
}

package main

import (
	"bufio"
	"context"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestLogin logs in at quickstart.
func TestLogin(t *testing.T) {
	folder := t.TempDir()
	certificate, quickstart := filepath.Join(folder, "document.pem"), filepath.Join(folder, "quickstart")
	c := &client{scope: "openid", callbacks: make(chan url.Values, 1)}
	if err := c.serve("127.0.0.1:0", certificate); err != nil {
		t.Fatal(err)
	}
	if output, err := exec.Command("go", "build", "-o", quickstart, "../quickstart").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	host := strings.TrimSuffix(strings.TrimPrefix(c.id, "https://"), path)
	program := exec.Command(quickstart, "-addr=127.0.0.1:0", "-db=memory:", "-documents="+host, "-fetch-allow=127.0.0.0/8", "-fetch-allow=::1/128", "-fetch-ca="+certificate)
	output, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Process.Kill(); program.Wait() })
	for lines := bufio.NewScanner(output); c.issuer == "" && lines.Scan(); {
		if endpoint, ready := strings.CutPrefix(lines.Text(), "ready: "); ready {
			c.issuer = strings.TrimSuffix(endpoint, "/connect/dcr")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	allowed := make(chan struct{})
	if err := c.login(ctx, func(url string) {
		go func() {
			defer close(allowed)
			allow(t, url)
		}()
	}); err != nil {
		t.Fatal(err)
	}
	<-allowed
}

// allow is the person, who reads the page and presses the button.
func allow(t *testing.T, url string) {
	page, err := http.Get(url)
	if err != nil || page.StatusCode != http.StatusOK {
		t.Errorf("asked: %v %v", page, err)
		return
	}
	page.Body.Close()
	back, err := http.Post(url, "application/x-www-form-urlencoded", nil)
	if err != nil || back.StatusCode != http.StatusOK {
		t.Errorf("allowed: %v %v", back, err)
		return
	}
	back.Body.Close()
}

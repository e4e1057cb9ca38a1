// Package chromium drives a headless Chromium in tests of web pages.
package chromium

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Browser is a headless Chromium with one tab, driven by the DevTools protocol over
// a pipe.
type Browser struct {
	t       *testing.T
	send    *os.File
	session string

	mu      sync.Mutex
	last    int
	waiting map[int]chan message
	said    []string // the messages of the console and the log
	loaded  chan struct{}
}

type message struct {
	ID        int
	SessionID string
	Method    string
	Params    json.RawMessage
	Result    json.RawMessage
	Error     *struct{ Message string }
}

// findChromium returns the path of the program, and skips the test if there is none.
func findChromium(t *testing.T) string {
	t.Helper()
	if os.Getenv("DCR_TEST_LONG") == "" {
		t.Skip("needs a browser, and DCR_TEST_LONG")
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if program, err := exec.LookPath(name); err == nil {
			return program
		}
	}
	t.Skip("Chromium is not installed; on Debian: apt-get install chromium")
	return ""
}

// Start starts a browser that ends with the test. It skips the test if there is no
// Chromium, or if DCR_TEST_LONG is not set.
func Start(t *testing.T) *Browser {
	t.Helper()
	// The sandbox does not work for root, and the tests open only their own pages.
	command := exec.Command(findChromium(t), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--remote-debugging-pipe", "--user-data-dir="+t.TempDir(), "about:blank")
	theirIn, ourOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ourIn, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	command.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	theirIn.Close()
	theirOut.Close()
	b := &Browser{t: t, send: ourOut, waiting: make(map[int]chan message), loaded: make(chan struct{}, 16)}
	t.Cleanup(func() {
		ourOut.Close() // it ends with its pipe
		ended := make(chan error, 1)
		go func() { ended <- command.Wait() }()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			command.Process.Kill()
			<-ended
		}
	})
	go b.read(ourIn)
	var target struct{ TargetID string }
	b.Call("Target.createTarget", object{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.Call("Target.attachToTarget", object{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		b.Call(domain+".enable", nil, nil)
	}
	return b
}

type object = map[string]any

// read reads the browser's messages until it ends.
func (b *Browser) read(from *os.File) {
	defer from.Close()
	lines := bufio.NewReader(from)
	for {
		text, err := lines.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(text[:len(text)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		switch {
		case m.ID != 0:
			b.waiting[m.ID] <- m
		case m.Method == "Page.loadEventFired":
			b.loaded <- struct{}{}
		case m.Method == "Log.entryAdded", m.Method == "Runtime.consoleAPICalled", m.Method == "Runtime.exceptionThrown":
			b.said = append(b.said, string(m.Params))
		}
		b.mu.Unlock()
	}
}

// Call calls a method of the browser and returns its result.
func (b *Browser) Call(method string, params, result any) {
	b.t.Helper()
	answered := make(chan message, 1)
	b.mu.Lock()
	b.last++
	id := b.last
	b.waiting[id] = answered
	b.mu.Unlock()
	request := object{"id": id, "method": method}
	if params != nil {
		request["params"] = params
	}
	if b.session != "" {
		request["sessionId"] = b.session
	}
	text, err := json.Marshal(request)
	if err == nil {
		_, err = b.send.Write(append(text, 0))
	}
	if err != nil {
		b.t.Fatal(err)
	}
	select {
	case m := <-answered:
		if m.Error != nil {
			b.t.Fatalf("%s: %s", method, m.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(m.Result, result); err != nil {
				b.t.Fatal(err)
			}
		}
	case <-time.After(30 * time.Second):
		b.t.Fatalf("%s: no answer", method)
	}
}

// Load waits for a page that something opens.
func (b *Browser) Load(open func()) {
	b.t.Helper()
	for len(b.loaded) > 0 {
		<-b.loaded
	}
	open()
	select {
	case <-b.loaded:
	case <-time.After(30 * time.Second):
		b.t.Fatal("the page does not load")
	}
}

// Evaluate runs a script from outside the page, so that no policy of the page stops
// it. It waits for a promise.
func (b *Browser) Evaluate(script string) string {
	b.t.Helper()
	var got struct{ Result struct{ Value any } }
	b.Call("Runtime.evaluate", object{"expression": script, "returnByValue": true, "awaitPromise": true}, &got)
	return fmt.Sprint(got.Result.Value)
}

// Press presses keys, as someone without a mouse does.
func (b *Browser) Press(keys ...string) {
	b.t.Helper()
	codes := map[string]int{"Tab": 9, "Enter": 13, "ArrowDown": 40}
	for _, key := range keys {
		for _, kind := range []string{"keyDown", "keyUp"} {
			event := object{"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
			if key == "Enter" && kind == "keyDown" {
				event["text"] = "\r"
			}
			b.Call("Input.dispatchKeyEvent", event, nil)
		}
	}
}

// TabTo moves the focus with the Tab key to what has a text, such as a button, and checks
// that the focus is visible there.
func (b *Browser) TabTo(text string) {
	b.t.Helper()
	for range 60 {
		b.Press("Tab")
		if b.Evaluate("document.activeElement.textContent.trim()") != text {
			continue
		}
		if b.Evaluate("getComputedStyle(document.activeElement).outlineStyle") == "none" {
			b.t.Errorf("the focus on %q is not visible", text)
		}
		return
	}
	b.t.Fatalf("no key leads to %q", text)
}

// Resize gives the tab the size of a phone or of a desktop, and a color scheme.
func (b *Browser) Resize(width int, scheme string) {
	b.t.Helper()
	b.Call("Emulation.setDeviceMetricsOverride", object{"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": width < 500}, nil)
	b.Call("Emulation.setEmulatedMedia", object{"features": []object{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// Screenshot saves a picture of the page if DCR_TEST_SCREENSHOTS names a directory.
func (b *Browser) Screenshot(name string) {
	b.t.Helper()
	directory := os.Getenv("DCR_TEST_SCREENSHOTS")
	if directory == "" {
		return
	}
	var shot struct{ Data string }
	b.Call("Page.captureScreenshot", object{"captureBeyondViewport": true}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(directory, strings.ReplaceAll(name, " ", "-")+".png"), png, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// Complaints returns what the console and the log of the browser have, except for a
// missing favicon.
func (b *Browser) Complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(b.said), func(said string) bool { return strings.Contains(said, "favicon.ico") })
}

// Open opens a page.
func (b *Browser) Open(address string) {
	b.t.Helper()
	b.Load(func() { b.Call("Page.navigate", object{"url": address}, nil) })
}

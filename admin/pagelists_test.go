package admin_test

import (
	"context"
	"fmt"
	"html"
	"math"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dynreg/dcr"
	"github.com/dynreg/dcr/memstore"
)

func TestListsOfPages(t *testing.T) {
	d := newDesk(t, nil, nil)
	add := func(id string, age int, change func(*dcr.Client)) {
		client := dcr.NewClient()
		client.ID, client.Source, client.CreatedAt = id, dcr.SourceDynamic, noon.AddDate(0, 0, -age)
		client.ClientName, client.RedirectURIs = "App "+id, []string{"https://app.example.com/cb"}
		change(client)
		if err := d.store.Add(t.Context(), client); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 120 {
		add(fmt.Sprintf("many-%03d", n), 100+n, func(*dcr.Client) {})
	}
	add("owned", 1, func(c *dcr.Client) { c.RegisteredBy = "ci & co" })
	add("consented", 2, func(c *dcr.Client) {
		c.ActivatedBy, c.ActivatedAt, c.LastUsedAt = "paula", noon.AddDate(0, 0, -2), noon.AddDate(0, 0, -1)
	})
	add("pending", 3, has(dcr.StatusPending))
	add("disabled", 4, has(dcr.StatusDisabled))
	add("https://a.example/doc", 5, func(c *dcr.Client) { c.Source, c.Status = dcr.SourceDocument, dcr.StatusDisabled })
	add("elsewhere", 400, func(c *dcr.Client) { c.RedirectURIs, c.ClientName = []string{"https://else.example/cb"}, "Élan" })
	found := func(page string) (ids []string) {
		for _, link := range regexp.MustCompile(`<a href="client\?id=([^"]*)"`).FindAllStringSubmatch(page, -1) {
			id, _ := url.QueryUnescape(html.UnescapeString(link[1]))
			ids = append(ids, id)
		}
		return ids
	}
	for _, c := range []struct {
		page string
		want []string
	}{
		{"?by=ci+%26+co", []string{"owned"}}, {"?consent=paula", []string{"consented"}}, {"?status=waiting", []string{"pending"}},
		{"?status=disabled", []string{"disabled", "https://a.example/doc"}}, {"?status=disabled&source=document", []string{"https://a.example/doc"}},
		{"?host=else.example", []string{"elsewhere"}}, {"?host=Else.Example&name=él", []string{"elsewhere"}}, {"?name=none", nil},
		{"?idle=2025-05-01", []string{"elsewhere"}}, {"?name=app+many-00&idle=2026-01-20&used=never", []string{"many-005", "many-006", "many-007", "many-008", "many-009"}},
		{"?source=document", []string{"https://a.example/doc"}}, {"waiting", []string{"pending"}}, {"denied", []string{"https://a.example/doc"}},
	} {
		status, page := d.get(c.page)
		if got := found(page); status != 200 || !slices.Equal(got, c.want) {
			t.Errorf("%s: status %d, %q, want %q", c.page, status, got, c.want)
		}
	}
	_, page := d.get("?name=app+many&used=never")
	first := found(page)
	second := d.follow(page, "Older")
	third := d.follow(second, "Older")
	all := slices.Concat(first, found(second), found(third))
	if len(first) != 50 || len(all) != 120 || !slices.IsSorted(all) || strings.Contains(third, "Older") {
		t.Errorf("the pages have %d, %d and %d clients", len(first), len(found(second)), len(found(third)))
	}
	if newest := d.follow(third, "Newest"); !slices.Equal(found(newest), first) || !strings.Contains(newest, `value="app many"`) {
		t.Error("the first page has changed")
	}
	if _, page := d.get("client?id=owned"); !strings.Contains(page, `allowed_cors_origins</dt><dd><code dir="ltr">none<`) {
		t.Error("the page does not say that a client has no allowed_cors_origins")
	} else if !slices.Equal(found(d.follow(page, "ci & co")), []string{"owned"}) {
		t.Error("the page of a client does not link to the clients of its owner")
	}
}

// slow looks at one client in each call, as a store may do to return in time.
type slow struct{ *memstore.Store }

func (s slow) ListRecentClients(ctx context.Context, filter dcr.Filter, cursor string, _ int) ([]*dcr.Client, string, error) {
	time.Sleep(time.Millisecond)
	page, next, err := s.Store.ListRecentClients(ctx, dcr.Filter{}, cursor, 1)
	return slices.DeleteFunc(page, func(c *dcr.Client) bool { return !filter.Selects(c) }), next, err
}

// A search that takes long says how far it got, and can be continued.
func TestSearchInParts(t *testing.T) {
	d := newDesk(t, nil, nil)
	for n := range 200 {
		client := dcr.NewClient()
		client.ID, client.CreatedAt, client.ClientName = fmt.Sprint(n), noon.Add(time.Duration(n)*time.Second), "Hay"
		if n == 0 {
			client.ClientName = "Needle"
		}
		if err := d.store.Add(t.Context(), client); err != nil {
			t.Fatal(err)
		}
	}
	d.Store = slow{d.store.Store}
	_, page := d.get("?name=needle")
	if !strings.Contains(page, "None among the clients looked at so far") {
		t.Fatalf("it looked at all clients:\n%s", page)
	}
	for range 201 { // each page is at least one client further, and mostly many
		if page = d.follow(page, "Search older ones"); strings.Contains(page, "<bdi>Needle</bdi>") {
			return
		}
	}
	t.Error("it was not found")
}

// What a stranger writes is shown as text, with all characters visible, and
// leaves room for the rest.
func TestHostileClients(t *testing.T) {
	d := newDesk(t, func(c *dcr.Client) {
		c.ID = "</a><script>alert(1)</script>"
		c.ClientName = "\u202eknaB\u202c \u2066<img src=x onerror=alert(1)>\U000e0041" + strings.Repeat("e\u0301\u0302\u0303\u0304\u0305\u0306\u0307", 50) + strings.Repeat("W", 5000)
		c.RedirectURIs = []string{"https://app.example.com/" + strings.Repeat("x", 3000)}
		c.PolicyURI, c.Notes, c.RegisteredFrom = "javascript:alert(1)", "\u2028<b>", strings.Repeat("9", 1000)
		c.Localized = map[string]string{"client_name#de": "\u0000\u200b</code><script>"}
	}, nil)
	_, list := d.get("")
	client := d.follow(list, "knaB")
	for name, page := range map[string]string{"list": list, "client": client, "confirmation": d.follow(client, "Delete")} {
		for _, in := range []string{"<script", "<img", "<b>", "\u202e", "\u2066", "\U000e0041", "\u200b", "\u2028", "javascript:alert(1)\"", strings.Repeat("W", 2500)} {
			if strings.Contains(page, in) {
				t.Errorf("the %s has %q in it", name, in)
			}
		}
		if len(page) > 40_000 {
			t.Errorf("the %s has %d bytes", name, len(page))
		}
	}
	for _, says := range []string{`\u202eknaB`, `\udb40\udc41`, "&lt;img", "app.example.com", "bytes more"} {
		if !strings.Contains(client, says) {
			t.Errorf("the page does not say %q:\n%s", says, client)
		}
	}
	if links := regexp.MustCompile(`href="(?:https?:|//|[a-z]+:)`).FindString(client); links != "" {
		t.Errorf("a page links to another site: %s", links)
	}
}

// Every color has enough contrast with both backgrounds, light and dark: WCAG 2.2
// §1.4.3, and §1.4.11 for lines.
func TestContrast(t *testing.T) {
	source, err := os.ReadFile("pages.html")
	if err != nil {
		t.Fatal(err)
	}
	schemes := regexp.MustCompile(`(?s):root \{(.*?)\}`).FindAllStringSubmatch(string(source), -1)
	if len(schemes) != 2 {
		t.Fatalf("%d color schemes", len(schemes))
	}
	for _, scheme := range schemes {
		colors := make(map[string]float64)
		for _, c := range regexp.MustCompile(`--(\w+): #(\w{6});`).FindAllStringSubmatch(scheme[1], -1) {
			colors[c[1]] = luminance(t, c[2])
		}
		if len(colors) != 8 {
			t.Errorf("%d colors", len(colors))
		}
		for name, color := range colors {
			for _, background := range []string{"page", "raised"} {
				least := 4.5
				switch name {
				case "page", "raised":
					continue
				case "line":
					least = 3
				}
				lighter, darker := max(color, colors[background]), min(color, colors[background])
				if ratio := (lighter + 0.05) / (darker + 0.05); ratio < least {
					t.Errorf("%s on %s has a contrast of %.2f, less than %.1f", name, background, ratio, least)
				}
			}
		}
	}
}

// luminance returns the relative luminance of a color.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	var sum float64
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

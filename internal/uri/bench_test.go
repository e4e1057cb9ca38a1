package uri_test

import (
	"testing"

	"github.com/dynreg/dcr/internal/uri"
)

func BenchmarkParse(b *testing.B) {
	for name, s := range map[string]string{
		"https":      "https://claude.ai/api/mcp/auth_callback",
		"loopback":   "http://127.0.0.1:33418/callback",
		"IPv6":       "http://[::1]:33418/callback",
		"escapes":    "https://app.example.com:8443/a%20b/callback?tenant=a%2Fb",
		"privateuse": "cursor://anysphere.cursor-mcp/oauth/callback",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := uri.Parse(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMatchRedirect(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if !uri.MatchRedirect("http://127.0.0.1/callback", "http://127.0.0.1:33418/callback") {
			b.Fatal("the loopback redirect does not match")
		}
	}
}

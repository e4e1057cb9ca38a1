package guard

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// HTTP returns an http.Client under the same rules, for other methods than GET
// and for libraries that want one. Its answers are of any status; a body that
// is too large fails while it is read.
func (c *Client) HTTP() *http.Client {
	client := c.http
	client.Timeout = c.timeout
	client.Transport = guarded{c}
	return &client
}

type guarded struct{ client *Client }

// RoundTrip makes one exchange.
func (g guarded) RoundTrip(req *http.Request) (*http.Response, error) {
	if _, err := parse(req.URL.String()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAddressRefused, err)
	}
	host := strings.ToLower(req.URL.Hostname())
	if !g.client.slots.take(host) {
		return nil, ErrBusy
	}
	res, err := g.client.http.Transport.RoundTrip(req)
	if err != nil {
		g.client.slots.free(host)
		return nil, err
	}
	free := sync.OnceFunc(func() { g.client.slots.free(host) })
	res.Body = &boundedBody{ReadCloser: res.Body, left: g.client.maxBytes, free: free}
	return res, nil
}

// boundedBody is the body of an answer, which holds its slot until it is closed.
type boundedBody struct {
	io.ReadCloser
	left int64
	free func()
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("%w: it is too large", ErrAnswerRefused)
	}
	return n, err
}

func (b *boundedBody) Close() error {
	b.free()
	return b.ReadCloser.Close()
}

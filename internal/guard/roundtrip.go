package guard

// The guarded client as an http.Client.

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// HTTP returns an http.Client with the same rules, for methods other than GET
// and for libraries that need one. It returns answers of any status; reading a
// body that is too large fails.
func (c *Client) HTTP() *http.Client {
	client := c.http
	client.Transport = guarded{c}
	return &client
}

// guarded applies the rules itself, including the timeout, since a library may
// use only the transport of the client.
type guarded struct{ client *Client }

// RoundTrip makes one exchange. Like every RoundTripper, it always closes the
// request's body.
func (g guarded) RoundTrip(req *http.Request) (*http.Response, error) {
	refuse := func(err error) (*http.Response, error) {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	if _, err := parse(req.URL.String()); err != nil {
		return refuse(fmt.Errorf("%w: %w", ErrAddressRefused, err))
	}
	host := strings.ToLower(req.URL.Hostname())
	if !g.client.slots.take(host) {
		return refuse(ErrBusy)
	}
	ctx, cancel := context.WithTimeout(req.Context(), g.client.timeout)
	res, err := g.client.http.Transport.RoundTrip(req.WithContext(ctx))
	if err != nil {
		cancel()
		g.client.slots.free(host)
		if kind := kindOf(err); kind == ErrUnreachable {
			err = fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		return nil, err
	}
	// The exchange ends with its body or its timeout. So no connection is left
	// open even if nobody closes the body.
	free := sync.OnceFunc(func() { g.client.slots.free(host) })
	context.AfterFunc(ctx, free)
	res.Body = &boundedBody{ReadCloser: res.Body, ctx: ctx, left: g.client.maxBytes, end: func() { cancel(); free() }}
	return res, nil
}

// boundedBody is the body of an answer. Its end is the end of the exchange.
type boundedBody struct {
	io.ReadCloser
	ctx  context.Context // of the exchange
	left int64
	end  func()
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		n, err = 0, fmt.Errorf("%w: it is too large", ErrAnswerRefused)
	}
	if err == io.EOF && b.ctx.Err() == context.DeadlineExceeded {
		err = fmt.Errorf("%w: %w", ErrUnreachable, b.ctx.Err()) // a server may end an answer when the client gives up
	}
	if err != nil {
		b.end()
	}
	return n, err
}

func (b *boundedBody) Close() error {
	b.end()
	return b.ReadCloser.Close()
}

package main

// The process that sends the requests.

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// turn is the load that one server gets without a pause.
type turn struct {
	Method      string // POST, or GET or PUT of the client that the connection registered in its last turn of the method prepare
	Address     string
	Requests    int
	Connections int
}

// outcome is the result of a turn.
type outcome struct {
	Elapsed  time.Duration
	P50, P99 time.Duration
	Error    string
}

// generate is the load process. It performs the turns that it reads from standard input,
// over connections that it keeps open.
func generate() error {
	open := make(map[string][]*connection)
	turns, outcomes := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var next turn
		switch err := turns.Decode(&next); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		connections := open[next.Address]
		for len(connections) < next.Connections {
			opened, err := dial(next.Address)
			if err != nil {
				return err
			}
			connections = append(connections, opened)
		}
		open[next.Address] = connections
		if err := outcomes.Encode(next.run(connections[:next.Connections])); err != nil {
			return err
		}
	}
}

// run sends the requests of a turn. Each connection sends one after the other.
func (t turn) run(connections []*connection) outcome {
	var left atomic.Int64
	left.Store(int64(t.Requests))
	if t.Method == prepare {
		for _, c := range connections {
			if c.err = c.prepare(); c.err != nil {
				return outcome{Error: c.err.Error()}
			}
		}
		return outcome{}
	}
	var working sync.WaitGroup
	started := time.Now()
	for _, c := range connections {
		c.latencies, c.err = c.latencies[:0], nil
		working.Go(func() {
			for left.Add(-1) >= 0 && c.err == nil {
				_, c.err = c.send(t.Method)
			}
		})
	}
	working.Wait()
	out := outcome{Elapsed: time.Since(started)}
	var all []time.Duration
	for _, c := range connections {
		all = append(all, c.latencies...)
		if c.err != nil {
			out.Error = c.err.Error()
		}
	}
	slices.Sort(all)
	if len(all) > 0 {
		out.P50, out.P99 = all[len(all)/2], all[len(all)*99/100]
	}
	return out
}

// prepare is the method of a turn in which every connection registers the client that it
// reads and updates in later turns.
const prepare = "prepare"

// connection is a client that sends one request after the other.
type connection struct {
	conn      net.Conn
	reader    *bufio.Reader
	requests  map[string][]byte // by method
	latencies []time.Duration
	err       error
}

func dial(address string) (*connection, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	post := wire(http.MethodPost, "/connect/dcr", "", body)
	return &connection{conn: conn, reader: bufio.NewReader(conn), requests: map[string][]byte{http.MethodPost: post}}, nil
}

// wire is a request as it is sent.
func wire(method, target, token, body string) []byte {
	text := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: id.example.com\r\n", method, target)
	if token != "" {
		text = fmt.Appendf(text, "Authorization: Bearer %s\r\n", token)
	}
	if body != "" {
		text = fmt.Appendf(text, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	return fmt.Appendf(text, "\r\n%s", body)
}

// prepare registers a client to read and to update.
func (c *connection) prepare() error {
	answer, err := c.send(http.MethodPost)
	if err != nil {
		return err
	}
	var client registration
	if err := json.Unmarshal(answer, &client); err != nil {
		return err
	}
	_, target, _ := strings.Cut(client.RegistrationClientURI, "id.example.com")
	update := strings.Replace(body, "{", fmt.Sprintf(`{"client_id":%q,`, client.ClientID), 1)
	c.requests[http.MethodGet] = wire(http.MethodGet, target, client.RegistrationAccessToken, "")
	c.requests[http.MethodPut] = wire(http.MethodPut, target, client.RegistrationAccessToken, update)
	return nil
}

// send sends one request, records how long it took and returns the body of the answer.
func (c *connection) send(method string) ([]byte, error) {
	started := time.Now()
	if _, err := c.conn.Write(c.requests[method]); err != nil {
		return nil, err
	}
	answer, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode > http.StatusCreated {
		return nil, fmt.Errorf("the server answered a %s with %s: %s", method, answer.Status, text)
	}
	c.latencies = append(c.latencies, time.Since(started))
	return text, nil
}

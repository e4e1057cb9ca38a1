package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// turn is the load that one server gets without a break.
type turn struct {
	Address     string
	Requests    int
	Connections int
}

// outcome is how a turn went.
type outcome struct {
	Elapsed  time.Duration
	P50, P99 time.Duration
	Error    string
}

// generate is the load process. It carries out the turns that it reads on
// standard input, over connections that it keeps.
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

// run makes the requests of a turn, each connection one after the other.
func (t turn) run(connections []*connection) outcome {
	var left atomic.Int64
	left.Store(int64(t.Requests))
	var working sync.WaitGroup
	started := time.Now()
	for _, c := range connections {
		c.latencies, c.err = c.latencies[:0], nil
		working.Go(func() {
			for left.Add(-1) >= 0 && c.err == nil {
				c.err = c.register()
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

// connection is a client that registers again and again.
type connection struct {
	conn      net.Conn
	reader    *bufio.Reader
	request   []byte
	latencies []time.Duration
	err       error
}

func dial(address string) (*connection, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	request := fmt.Appendf(nil, "POST /connect/dcr HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		address, len(body), body)
	return &connection{conn: conn, reader: bufio.NewReader(conn), request: request}, nil
}

// register makes one request and notes how long it took.
func (c *connection) register() error {
	started := time.Now()
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	answer, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusCreated {
		return fmt.Errorf("the server answered %s: %s", answer.Status, text)
	}
	c.latencies = append(c.latencies, time.Since(started))
	return nil
}

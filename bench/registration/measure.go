package main

// Turns, in which the servers are measured alternately.

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Turns are short, so that the servers alternate often, but long enough to measure.
const (
	shortestTurn = 250  // requests
	warmUp       = 2000 // requests to each server before the measurement
)

// child is a process that this one started.
type child struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
}

// start starts this program again, with other arguments.
func start(arguments ...string) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return startCommand(exec.Command(program, arguments...))
}

func startCommand(command *exec.Cmd) (_ *child, err error) {
	c := &child{command: command}
	c.command.Stderr = os.Stderr
	if c.in, err = c.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(out)
	return c, c.command.Start()
}

// ask sends a line and reads the answer to it.
func (c *child) ask(line string, answer any) error {
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		return err
	}
	text, err := c.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("%s: %w", strings.Join(c.command.Args[1:], " "), err)
	}
	return json.Unmarshal(text, answer)
}

// stop ends the process by closing its input.
func (c *child) stop() {
	c.in.Close()
	c.command.Wait()
}

// server is a server under measurement.
type server struct {
	*child
	*subject
	address  string
	empty    uint64 // the heap without clients
	clients  int
	measured []stage // one for each of the sizes
	managed  map[string][]sample
}

// stage has the measurements of a server on the way to one number of clients.
type stage struct {
	turns []sample
	heap  float64 // bytes per client
}

// sample is one turn.
type sample struct {
	rate     float64 // requests per second
	cpu      float64 // microseconds of the server's processor time per request
	p50, p99 time.Duration
}

// bench is the whole measurement.
type bench struct {
	*settings
	load    *child
	running []*server
}

// measure starts every process, measures and reports.
func measure() error {
	settings, err := readSettings()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(settings.dir, "registration")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{settings: settings}
	defer b.stop()
	if b.load, err = start("load"); err != nil {
		return err
	}
	for _, name := range settings.servers {
		if err := b.startServer(find(name), dir); err != nil {
			return err
		}
	}
	from := 0
	for _, size := range settings.sizes {
		if err := b.grow(from, size); err != nil {
			return err
		}
		b.reportStage(len(b.running[0].measured) - 1)
		from = size
	}
	if err := b.manage(); err != nil {
		return err
	}
	return b.reportGoals()
}

func (b *bench) stop() {
	for _, server := range b.running {
		server.stop()
	}
	if b.load != nil {
		b.load.stop()
	}
}

// startServer starts a server, warms it up and empties it again.
func (b *bench) startServer(subject *subject, dir string) error {
	var process *child
	var err error
	if subject.process != nil {
		process, err = startCommand(subject.process())
	} else {
		process, err = start("serve", subject.name, dir)
	}
	if err != nil {
		return err
	}
	s := &server{child: process, subject: subject}
	b.running = append(b.running, s)
	address, err := s.out.ReadString('\n')
	if err != nil {
		return err
	}
	s.address = strings.TrimSpace(address)
	var used usage
	if err := s.ask("reset", &used); err != nil {
		return err
	}
	if _, err := b.turn(s, http.MethodPost, warmUp); err != nil {
		return err
	}
	if err := s.ask("reset", &used); err != nil {
		return err
	}
	err = s.ask("heap", &used)
	s.empty, s.clients = used.Heap, 0
	return err
}

// grow registers clients at every server, in turns, until each has size clients. If that
// gave too few turns, it starts again.
func (b *bench) grow(from, size int) error {
	for _, s := range b.running {
		s.measured = append(s.measured, stage{})
	}
	rounds := max(1, min(b.rounds, (size-from)/shortestTurn))
	for done := 0; done < b.rounds; done += rounds {
		if done > 0 {
			if err := b.regrow(from); err != nil {
				return err
			}
		}
		for round := range rounds {
			err := b.eachInTurn(round, func(s *server) error {
				sample, err := b.turn(s, http.MethodPost, (size-s.clients)/(rounds-round))
				now := &s.measured[len(s.measured)-1]
				now.turns = append(now.turns, sample)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	for _, s := range b.running {
		var used usage
		if err := s.ask("heap", &used); err != nil {
			return err
		}
		s.measured[len(s.measured)-1].heap = (float64(used.Heap) - float64(s.empty)) / float64(s.clients)
	}
	return nil
}

// regrow empties every server and registers the same number of clients, without
// measuring.
func (b *bench) regrow(size int) error {
	for _, s := range b.running {
		var used usage
		if err := s.ask("reset", &used); err != nil {
			return err
		}
		if s.clients = 0; size > 0 {
			if _, err := b.turn(s, http.MethodPost, size); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	return nil
}

// eachInTurn lets each server work in turn. Each round begins with another server.
func (b *bench) eachInTurn(round int, work func(*server) error) error {
	for i := range b.running {
		s := b.running[(i+round)%len(b.running)]
		if err := work(s); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// manage reads and updates clients, in turns.
func (b *bench) manage() error {
	for _, s := range b.running {
		if s.managed = make(map[string][]sample); s.manages {
			if _, err := b.turn(s, prepare, 0); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	for round := range b.rounds {
		for _, method := range []string{http.MethodGet, http.MethodPut} {
			err := b.eachInTurn(round, func(s *server) error {
				if !s.manages {
					return nil
				}
				sample, err := b.turn(s, method, 2*shortestTurn)
				s.managed[method] = append(s.managed[method], sample)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// turn lets one server answer requests.
func (b *bench) turn(s *server, method string, requests int) (sample, error) {
	var before, after usage
	var out outcome
	order, err := json.Marshal(turn{Method: method, Address: s.address, Requests: requests, Connections: b.connections})
	if err != nil {
		return sample{}, err
	}
	if err := s.ask("cpu", &before); err != nil {
		return sample{}, err
	}
	if err := b.load.ask(string(order), &out); err != nil {
		return sample{}, err
	}
	if err := s.ask("cpu", &after); err != nil {
		return sample{}, err
	}
	if out.Error != "" {
		return sample{}, errors.New(out.Error)
	}
	if method == http.MethodPost {
		s.clients += requests
	}
	return sample{
		rate: float64(requests) / out.Elapsed.Seconds(),
		cpu:  float64((after.CPU - before.CPU).Nanoseconds()) / 1e3 / float64(requests),
		p50:  out.P50, p99: out.P99,
	}, nil
}

package main

// The process that sends the flood.

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// flood is a running flood.
type flood struct {
	process *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
}

// begin begins a flood of a URL, and returns when the flood has reached the URL.
func (s *settings) begin(ctx context.Context, url string) (*flood, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	f := &flood{process: exec.CommandContext(ctx, self, "generate", url, strconv.Itoa(s.flooders), strconv.Itoa(s.flood))}
	f.process.Stderr = os.Stderr
	if f.in, err = f.process.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := f.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	f.out = bufio.NewReader(out)
	if err := f.process.Start(); err != nil {
		return nil, err
	}
	_, err = f.out.ReadString('\n')
	return f, err
}

// stop ends the flood, and returns its number of requests.
func (f *flood) stop() (requests float64, err error) {
	f.in.Close()
	if _, err := fmt.Fscan(f.out, &requests); err != nil {
		return 0, err
	}
	return requests, f.process.Wait()
}

// generate floods a URL until its standard input ends.
func generate(url, connections, rate string) error {
	n, err := strconv.Atoi(connections)
	if err != nil {
		return err
	}
	perSecond, err := strconv.Atoi(rate)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: n}}
	var answered atomic.Int64
	var over atomic.Bool
	var all sync.WaitGroup
	var first sync.Once
	for range n {
		all.Go(func() {
			pace := time.NewTicker(max(1, time.Duration(n)*time.Second/time.Duration(max(1, perSecond))))
			defer pace.Stop()
			for !over.Load() {
				if perSecond > 0 {
					<-pace.C
				}
				answer, err := client.Post(url, "application/json", strings.NewReader(body))
				if err != nil {
					continue
				}
				io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
				answered.Add(1)
				first.Do(func() { fmt.Println("reached") })
			}
		})
	}
	io.Copy(io.Discard, os.Stdin)
	over.Store(true)
	all.Wait()
	fmt.Println(answered.Load())
	return nil
}

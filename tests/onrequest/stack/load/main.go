// Command load asks the example's API until its stdin ends, and writes what became of every request.
//
// It speaks HTTP itself: net/http repeats a request whose connection breaks, which would hide a loss.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

const timeout = 10 * time.Second

var (
	address     = flag.String("address", "127.0.0.1:8080", "of nginx")
	host        = flag.String("host", "localhost", "that is asked for")
	connections = flag.Int("connections", 16, "that are kept open")
	rate        = flag.Float64("rate", 400, "requests each second")
	get         = flag.String("get", "/v1/greetings/Ada", "path of most requests")
	answer      = flag.String("answer", "Hello, Ada!", "to them")
)

// post is each fourth request: what is sent twice may be done twice, so that nginx never repeats it.
const post = 4

type report struct {
	Requests int            `json:"requests"`
	Posts    int            `json:"posts"`
	Lost     map[string]int `json:"lost"`    // by method and kind
	Slowest  float64        `json:"slowest"` // of those answered, in seconds
	First    float64        `json:"first"`   // loss, in Unix time, 0 for none
	Last     float64        `json:"last"`
}

func main() {
	flag.Parse()
	done := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(done)
	}()
	reports := make([]report, *connections)
	var clients sync.WaitGroup
	for i := range reports {
		clients.Go(func() { reports[i] = client(i, done) })
	}
	clients.Wait()

	total := report{Lost: map[string]int{}}
	for _, r := range reports {
		total.Requests += r.Requests
		total.Posts += r.Posts
		for kind := range maps.Keys(r.Lost) {
			total.Lost[kind] += r.Lost[kind]
		}
		total.Slowest = max(total.Slowest, r.Slowest)
		total.Last = max(total.Last, r.Last)
		if r.First > 0 && (total.First == 0 || r.First < total.First) {
			total.First = r.First
		}
	}
	_ = json.NewEncoder(os.Stdout).Encode(total)
}

// client asks one request after the other, on one connection while it lasts.
func client(number int, done <-chan struct{}) report {
	r := report{Lost: map[string]int{}}
	every := time.Duration(float64(*connections) / *rate * float64(time.Second))
	next := time.Now().Add(every * time.Duration(number) / time.Duration(*connections))
	var c connection
	defer c.close()
	for {
		select {
		case <-done:
			return r
		case <-time.After(time.Until(next)):
		}
		next = next.Add(every)
		if late := time.Now(); next.Before(late) {
			next = late // what a slow answer held up is not made up for
		}

		method := http.MethodGet
		if r.Requests++; r.Requests%post == 0 {
			method = http.MethodPost
			r.Posts++
		}
		began := time.Now()
		kind := c.ask(method)
		if kind == "" {
			r.Slowest = max(r.Slowest, time.Since(began).Seconds())
			continue
		}
		r.Lost[method+" "+kind]++
		r.Last = float64(time.Now().UnixMilli()) / 1000
		if r.First == 0 {
			r.First = r.Last
		}
	}
}

type connection struct {
	net.Conn
	reader *bufio.Reader
}

func (c *connection) close() {
	if c.Conn != nil {
		_ = c.Conn.Close()
		c.Conn = nil
	}
}

// ask returns how a request is lost, or "" for the answer that is expected.
func (c *connection) ask(method string) string {
	if c.Conn != nil && c.ended() {
		c.close() // as every client does that reads while it waits
	}
	if c.Conn == nil {
		conn, err := net.DialTimeout("tcp", *address, timeout)
		if err != nil {
			return explain(err)
		}
		c.Conn, c.reader = conn, bufio.NewReader(conn)
	}
	_ = c.SetDeadline(time.Now().Add(timeout))
	path, body, want, status := *get, "", *answer, http.StatusOK
	if method == http.MethodPost {
		path, body, want, status = "/v1/greetings", `{"name":"Ada"}`, "Hello, Ada!", http.StatusCreated
	}
	_, err := fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		method, path, *host, len(body), body)
	if err != nil {
		c.close()
		return explain(err)
	}
	response, err := http.ReadResponse(c.reader, &http.Request{Method: method})
	if err != nil {
		c.close()
		return explain(err)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil || response.Close {
		c.close()
	}
	switch {
	case err != nil:
		return explain(err)
	case response.StatusCode != status:
		return fmt.Sprint(response.StatusCode)
	case !strings.Contains(string(text), want):
		return "wrong body"
	}
	return ""
}

// ended tells whether the other side has closed the connection.
func (c *connection) ended() bool {
	raw, err := c.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return true
	}
	ended := false
	err = raw.Read(func(fd uintptr) bool {
		n, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		ended = n == 0 && err == nil || err != nil && !errors.Is(err, syscall.EAGAIN)
		return true
	})
	return ended || err != nil
}

func explain(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	}
	return err.Error()
}

package httpserver

import (
	"bufio"
	"net/http"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
)

// openStream returns a server, and the lines of a response that outlasts its request's time limit.
func openStream(t *testing.T) (server *Server, lines *bufio.Scanner, ended chan struct{}) {
	t.Helper()
	router := newLimitedRouter(t, 50*time.Millisecond)
	ended = make(chan struct{})
	router.GET("/events", func(c *gin.Context) {
		defer close(ended)
		Stream(c)
		for {
			c.SSEvent("tick", "tock")
			c.Writer.Flush()
			select {
			case <-c.Request.Context().Done():
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	server, url, _ := serve(t, router.ServeHTTP)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return server, bufio.NewScanner(response.Body), ended
}

func TestAStreamOutlastsTheTimeLimit(t *testing.T) {
	_, lines, _ := openStream(t)
	for start := time.Now(); time.Since(start) < 200*time.Millisecond; {
		if !lines.Scan() {
			t.Fatal("the stream has ended", lines.Err())
		}
	}
}

func TestAStreamEndsWithItsServer(t *testing.T) {
	server, lines, ended := openStream(t)
	lines.Scan()
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	<-ended
	for lines.Scan() {
	}
	if err := lines.Err(); err != nil {
		t.Errorf("the stream was cut off: %v", err)
	}
}

// Command bare serves the service's one route on gin alone, for comparison.
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/gin-gonic/gin"
)

type greeting struct {
	Message string `json:"message"`
}

func main() {
	kind, addr := os.Args[1], os.Args[2]
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	if kind != "new" {
		router = gin.Default()
	}
	router.GET("/v1/greetings/:name", func(c *gin.Context) {
		c.JSON(http.StatusOK, greeting{"Hello, " + c.Param("name") + "!"})
	})
	if kind != "shutdown" {
		log.Fatal(router.Run(addr))
	}
	// As many examples have it: no drain.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	server := http.Server{Addr: addr, Handler: router}
	go func() { _ = server.ListenAndServe() }()
	<-ctx.Done()
	_ = server.Shutdown(context.Background())
}

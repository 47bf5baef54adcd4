// Command middlewares is the service put together from middlewares that teams usually take:
// what its public port does for a request, and the same two routes.
package main

import (
	"context"
	"log"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gin-contrib/requestid"
	"github.com/gin-gonic/gin"
	sloggin "github.com/samber/slog-gin"
	ginprometheus "github.com/zsais/go-gin-prometheus"
)

// As the service has them by default.
const (
	deadline     = 20 * time.Second
	maxBodyBytes = 1 << 20
)

type greeting struct {
	Message string `json:"message"`
}

type person struct {
	Name string `json:"name" uri:"name" binding:"required,max=64"`
}

func main() {
	addr, adminAddr := os.Args[1], os.Args[2]
	gin.SetMode(gin.ReleaseMode)
	server := http.Server{
		Addr:              addr,
		Handler:           newRouter(adminAddr),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       75 * time.Second,
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		_ = server.Shutdown(context.Background())
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		log.Fatal(err)
	}
}

func newRouter(adminAddr string) *gin.Engine {
	router := gin.New()
	if err := router.SetTrustedProxies(nil); err != nil {
		log.Fatal(err)
	}
	router.Use(requestid.New(), sloggin.New(slog.New(slog.NewJSONHandler(os.Stdout, nil))))
	metrics := ginprometheus.NewPrometheus("gin")
	// The path itself, which is the default, would make series without end.
	metrics.ReqCntURLLabelMappingFn = (*gin.Context).FullPath
	metrics.SetListenAddressWithRouter(adminAddr, gin.New())
	metrics.Use(router)
	router.Use(gin.Recovery(), secure, limit)

	router.GET("/v1/greetings/:name", getGreeting)
	router.POST("/v1/greetings", postGreeting)
	return router
}

func secure(c *gin.Context) {
	c.Header("Cache-Control", "no-store")
	c.Header("X-Content-Type-Options", "nosniff")
}

func limit(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), deadline)
	defer cancel()
	c.Request = c.Request.WithContext(ctx)
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxBodyBytes)
	c.Next()
}

func getGreeting(c *gin.Context) {
	var to person
	greet(c, http.StatusOK, &to, c.ShouldBindUri(&to))
}

func postGreeting(c *gin.Context) {
	var to person
	greet(c, http.StatusCreated, &to, c.ShouldBindJSON(&to))
}

func greet(c *gin.Context, status int, to *person, err error) {
	if err != nil {
		c.AbortWithStatusJSON(http.StatusBadRequest, gin.H{"error": err.Error()})
		return
	}
	c.JSON(status, greeting{"Hello, " + to.Name + "!"})
}

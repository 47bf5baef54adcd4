package api

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"
)

// held is what /extra/hold keeps alive, as a cache would.
var held []byte

// registerExtra adds routes that do what the example's do not: fail, print, wait, and use memory.
func registerExtra(router gin.IRouter) {
	extra := router.Group("/extra")
	extra.GET("/panic", func(*gin.Context) { panic("planted panic") })
	extra.GET("/abort", func(*gin.Context) { panic(http.ErrAbortHandler) })
	extra.GET("/print", func(c *gin.Context) {
		fmt.Fprintln(gin.DefaultWriter, "printed by an extra route")
		c.Status(http.StatusNoContent)
	})
	extra.GET("/log", func(c *gin.Context) {
		slog.InfoContext(c, "logged by an extra route")
		log.Print("logged by a library")
		c.Status(http.StatusNoContent)
	})
	extra.GET("/superfluous", func(c *gin.Context) {
		// net/http complains of the second in its ErrorLog.
		raw := http.ResponseWriter(c.Writer)
		for wrapped, ok := raw.(interface{ Unwrap() http.ResponseWriter }); ok; wrapped, ok = raw.(interface{ Unwrap() http.ResponseWriter }) {
			raw = wrapped.Unwrap()
		}
		raw.WriteHeader(http.StatusOK)
		raw.WriteHeader(http.StatusOK)
	})
	extra.GET("/sleep/:ms", func(c *gin.Context) {
		ms, _ := strconv.Atoi(c.Param("ms"))
		select {
		case <-time.After(time.Duration(ms) * time.Millisecond):
			c.String(http.StatusOK, "slept")
		case <-c.Request.Context().Done():
			_ = c.Error(c.Request.Context().Err())
		}
	})
	extra.POST("/body", func(c *gin.Context) {
		if _, err := io.Copy(io.Discard, c.Request.Body); err != nil {
			_ = c.Error(err)
		}
	})
	extra.GET("/killed", func(c *gin.Context) {
		slog.InfoContext(c, "last words", slog.String("of", "killed"))
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	})
	extra.GET("/exited", func(c *gin.Context) {
		log.Print("last words of exited")
		os.Exit(7)
	})
	extra.GET("/goroutine", func(c *gin.Context) {
		slog.InfoContext(c, "last words", slog.String("of", "goroutine"))
		go panic("in a goroutine")
		select {}
	})
	extra.GET("/contexts/:count", func(c *gin.Context) {
		count, _ := strconv.Atoi(c.Param("count"))
		before := runtime.NumGoroutine()
		for range count {
			_, cancel := context.WithCancel(c.Request.Context())
			defer cancel()
		}
		c.String(http.StatusOK, strconv.Itoa(runtime.NumGoroutine()-before))
	})
	extra.GET("/hold/:mib", func(c *gin.Context) {
		mib, _ := strconv.Atoi(c.Param("mib"))
		held = touched(mib << 20)
		c.Status(http.StatusNoContent)
	})
	extra.GET("/garbage/:kib", func(c *gin.Context) {
		kib, _ := strconv.Atoi(c.Param("kib"))
		c.String(http.StatusOK, strconv.Itoa(len(touched(kib<<10))))
	})
}

// touched returns memory that the kernel really had to give.
func touched(size int) []byte {
	memory := make([]byte, size)
	for i := 0; i < len(memory); i += 4096 {
		memory[i] = 1
	}
	return memory
}

package api

import (
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
)

// held is what /lab/hold keeps alive, as a cache would.
var held []byte

// registerLab adds routes that do what the example's do not: fail, print, wait, and use memory.
func registerLab(router gin.IRouter) {
	lab := router.Group("/lab")
	lab.GET("/panic", func(*gin.Context) { panic("planted panic") })
	lab.GET("/abort", func(*gin.Context) { panic(http.ErrAbortHandler) })
	lab.GET("/print", func(c *gin.Context) {
		fmt.Fprintln(gin.DefaultWriter, "printed by the lab")
		c.Status(http.StatusNoContent)
	})
	lab.GET("/log", func(c *gin.Context) {
		slog.InfoContext(c, "logged by the lab")
		log.Print("logged by a library")
		c.Status(http.StatusNoContent)
	})
	lab.GET("/superfluous", func(c *gin.Context) {
		// net/http complains of the second in its ErrorLog.
		raw := c.Writer.(interface{ Unwrap() http.ResponseWriter }).Unwrap()
		raw.WriteHeader(http.StatusOK)
		raw.WriteHeader(http.StatusOK)
	})
	lab.GET("/sleep/:ms", func(c *gin.Context) {
		ms, _ := strconv.Atoi(c.Param("ms"))
		select {
		case <-time.After(time.Duration(ms) * time.Millisecond):
			c.String(http.StatusOK, "slept")
		case <-c.Request.Context().Done():
			_ = c.Error(c.Request.Context().Err())
		}
	})
	lab.POST("/body", func(c *gin.Context) {
		if _, err := io.Copy(io.Discard, c.Request.Body); err != nil {
			_ = c.Error(err)
		}
	})
	lab.GET("/hold/:mib", func(c *gin.Context) {
		mib, _ := strconv.Atoi(c.Param("mib"))
		held = touched(mib << 20)
		c.Status(http.StatusNoContent)
	})
	lab.GET("/garbage/:kib", func(c *gin.Context) {
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

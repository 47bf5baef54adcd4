// Package web holds what browsers and crawlers ask for.
package web

import (
	_ "embed"
	"net/http"

	"github.com/gin-gonic/gin"
)

//go:embed robots.txt
var robots string

// Register adds the files to router.
func Register(router gin.IRouter) {
	router.GET("/robots.txt", func(c *gin.Context) { c.String(http.StatusOK, robots) })
}

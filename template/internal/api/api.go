// Package api holds the routes of the service.
package api

import (
	"errors"
	"net/http"
	"unicode"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
)

// Register adds every route of the API to router.
func Register(router gin.IRouter) {
	v1 := router.Group("/v1")
	v1.GET("/greetings/:name", getGreeting)
}

const maxNameLength = 64

var errName = errors.New("name must be 1 to 64 letters, with single spaces or hyphens between them")

type greeting struct {
	Message string `json:"message"`
}

func getGreeting(c *gin.Context) {
	name := c.Param("name")
	if !validName(name) {
		c.Status(http.StatusBadRequest)
		_ = c.Error(errName).SetType(gin.ErrorTypePublic)
		return
	}
	c.JSON(http.StatusOK, greeting{Message: "Hello, " + name + "!"})
}

func validName(name string) bool {
	if utf8.RuneCountInString(name) > maxNameLength {
		return false
	}
	letterBefore := false
	for _, r := range name {
		letter := unicode.IsLetter(r) || unicode.IsMark(r)
		if !letter && (!letterBefore || r != ' ' && r != '-') {
			return false
		}
		letterBefore = letter
	}
	return letterBefore
}

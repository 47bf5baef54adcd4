// Package api holds the routes of the service.
package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
)

// Register adds every route of the API to router.
func Register(router gin.IRouter) {
	v1 := router.Group("/v1")
	v1.GET("/greetings/:name", getGreeting)
	v1.POST("/greetings", postGreeting)
}

const maxNameLength = 64

var errName = errors.New("name must have 1 to 64 characters")

type greeting struct {
	Message string `json:"message"`
}

func getGreeting(c *gin.Context) {
	greet(c, http.StatusOK, c.Param("name"))
}

func postGreeting(c *gin.Context) {
	var person struct {
		Name string `json:"name"`
	}
	// c.ShouldBindJSON would do as well, and check struct tags, for 0.6 MB of binary.
	body, err := c.GetRawData()
	if err == nil {
		err = json.Unmarshal(body, &person)
	}
	if err != nil {
		_ = c.Error(err).SetType(gin.ErrorTypeBind)
		return
	}
	greet(c, http.StatusCreated, person.Name)
}

func greet(c *gin.Context, status int, name string) {
	if length := utf8.RuneCountInString(name); length < 1 || length > maxNameLength {
		c.Status(http.StatusBadRequest)
		_ = c.Error(errName).SetType(gin.ErrorTypePublic)
		return
	}
	c.JSON(status, greeting{Message: "Hello, " + name + "!"})
}

// Package api holds the routes of the service.
package api

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// Register adds every route of the API to router.
func Register(router gin.IRouter) {
	v1 := router.Group("/v1")
	v1.GET("/greetings/:name", getGreeting)
	v1.POST("/greetings", postGreeting)
}

type person struct {
	Name string `binding:"required,max=64" json:"name" uri:"name"`
}

type greeting struct {
	Message string `json:"message"`
}

func getGreeting(c *gin.Context) {
	var p person
	if err := c.ShouldBindUri(&p); err != nil {
		_ = c.Error(err).SetType(gin.ErrorTypeBind)
		return
	}
	c.JSON(http.StatusOK, greet(p))
}

func postGreeting(c *gin.Context) {
	var p person
	if err := c.ShouldBindJSON(&p); err != nil {
		_ = c.Error(err).SetType(gin.ErrorTypeBind)
		return
	}
	c.JSON(http.StatusCreated, greet(p))
}

func greet(p person) greeting {
	return greeting{Message: "Hello, " + p.Name + "!"}
}

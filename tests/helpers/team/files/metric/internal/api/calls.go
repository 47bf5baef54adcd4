package api

import "github.com/gin-gonic/gin"

// counted tells called who made a call.
func counted(called func(client string)) gin.HandlerFunc {
	return func(c *gin.Context) {
		client := "other"
		if c.GetHeader("X-Client") == "shop" {
			client = "shop"
		}
		called(client)
		c.Next()
	}
}

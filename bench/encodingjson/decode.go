package api

import (
	"encoding/json"
	"errors"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
)

// decode reads a body without gin's binding.
func decode(c *gin.Context, p *person) error {
	body, err := c.GetRawData()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, p); err != nil {
		return err
	}
	if length := utf8.RuneCountInString(p.Name); length < 1 || length > 64 {
		return errors.New("name must have 1 to 64 characters")
	}
	return nil
}

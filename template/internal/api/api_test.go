package api

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
)

func TestGetGreeting(t *testing.T) {
	tests := map[string]struct {
		name   string
		status int
		body   string
	}{
		"letters":        {"Ada", http.StatusOK, `{"message":"Hello, Ada!"}`},
		"other script":   {"Łukasz", http.StatusOK, `{"message":"Hello, Łukasz!"}`},
		"several parts":  {"Ada Lovelace-King", http.StatusOK, `{"message":"Hello, Ada Lovelace-King!"}`},
		"longest":        {strings.Repeat("a", 64), http.StatusOK, `{"message":"Hello, ` + strings.Repeat("a", 64) + `!"}`},
		"too long":       {strings.Repeat("a", 65), http.StatusBadRequest, ""},
		"digit":          {"4da", http.StatusBadRequest, ""},
		"leading space":  {" Ada", http.StatusBadRequest, ""},
		"trailing space": {"Ada ", http.StatusBadRequest, ""},
		"markup":         {"<b>", http.StatusBadRequest, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			router := gin.New()
			var failure *gin.Error
			router.Use(func(c *gin.Context) {
				c.Next()
				failure = c.Errors.Last()
			})
			Register(router)
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/greetings/"+url.PathEscape(test.name), nil)
			response := httptest.NewRecorder()
			router.ServeHTTP(response, request)
			if response.Code != test.status || response.Body.String() != test.body {
				t.Errorf("got %d %s, want %d %s", response.Code, response.Body, test.status, test.body)
			}
			if failed := test.status != http.StatusOK; failed != (failure != nil && failure.IsType(gin.ErrorTypePublic)) {
				t.Errorf("got error %v", failure)
			}
		})
	}
}

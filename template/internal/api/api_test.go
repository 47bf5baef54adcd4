package api

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
)

// answer returns what a route answers, and the error that it leaves to the middleware.
func answer(t *testing.T, method, path, body string) (*httptest.ResponseRecorder, *gin.Error) {
	t.Helper()
	router := gin.New()
	var failure *gin.Error
	router.Use(func(c *gin.Context) {
		c.Next()
		failure = c.Errors.Last()
	})
	Register(router)
	response := httptest.NewRecorder()
	router.ServeHTTP(response, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
	return response, failure
}

func TestGreetings(t *testing.T) {
	for name, ok := range map[string]bool{
		"Ada":                   true,
		"Łukasz Nowak":          true,
		strings.Repeat("ł", 64): true,
		strings.Repeat("a", 65): false,
	} {
		body := `{"message":"Hello, ` + name + `!"}`
		response, failure := answer(t, http.MethodGet, "/v1/greetings/"+url.PathEscape(name), "")
		if ok && (response.Code != http.StatusOK || response.Body.String() != body) {
			t.Errorf("GET %s: %d %s", name, response.Code, response.Body)
		}
		if !ok && (response.Code != http.StatusBadRequest || !failure.IsType(gin.ErrorTypePublic)) {
			t.Errorf("GET %s: %d, %v", name, response.Code, failure)
		}
		response, failure = answer(t, http.MethodPost, "/v1/greetings", `{"name":"`+name+`"}`)
		if ok && (response.Code != http.StatusCreated || response.Body.String() != body) {
			t.Errorf("POST %s: %d %s", name, response.Code, response.Body)
		}
		if !ok && (response.Code != http.StatusBadRequest || !failure.IsType(gin.ErrorTypePublic)) {
			t.Errorf("POST %s: %d, %v", name, response.Code, failure)
		}
	}
}

func TestABodyThatIsNoNameIsRefused(t *testing.T) {
	for _, body := range []string{"", "{", `{"name":1}`, "[]"} {
		if _, failure := answer(t, http.MethodPost, "/v1/greetings", body); failure == nil || !failure.IsType(gin.ErrorTypeBind) {
			t.Errorf("%s: %v", body, failure)
		}
	}
	if _, failure := answer(t, http.MethodPost, "/v1/greetings", "{}"); failure == nil || !failure.IsType(gin.ErrorTypePublic) {
		t.Errorf("no name: %v", failure)
	}
}

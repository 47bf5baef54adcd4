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
		want := `{"message":"Hello, ` + name + `!"}`
		for _, request := range []struct {
			method, path, body string
			status             int
		}{
			{http.MethodGet, "/v1/greetings/" + url.PathEscape(name), "", http.StatusOK},
			{http.MethodPost, "/v1/greetings", `{"name":"` + name + `"}`, http.StatusCreated},
		} {
			response, failure := answer(t, request.method, request.path, request.body)
			if ok && (response.Code != request.status || response.Body.String() != want) {
				t.Errorf("%s %s: %d %s", request.method, name, response.Code, response.Body)
			}
			if !ok && (failure == nil || !failure.IsType(gin.ErrorTypeBind)) {
				t.Errorf("%s %s: %d, %v", request.method, name, response.Code, failure)
			}
		}
	}
}

func TestABodyThatIsNoNameIsRefused(t *testing.T) {
	for _, body := range []string{"", "{", `{"name":1}`, "[]", "{}", `{"name":""}`} {
		if _, failure := answer(t, http.MethodPost, "/v1/greetings", body); failure == nil || !failure.IsType(gin.ErrorTypeBind) {
			t.Errorf("%s: %v", body, failure)
		}
	}
}

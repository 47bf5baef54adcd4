package prices

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
)

func TestPrices(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/prices/tea" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte("250"))
	}))
	defer other.Close()
	router := gin.New()
	Register(router, New(other.URL))
	for item, status := range map[string]int{"tea": http.StatusOK, "gold": http.StatusBadGateway} {
		response := httptest.NewRecorder()
		router.ServeHTTP(response, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/prices/"+item, nil))
		if response.Code != status {
			t.Errorf("%s: %d %s", item, response.Code, response.Body)
		}
	}
}

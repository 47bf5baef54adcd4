package httpserver

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestPagesOfTheShopMayCall(t *testing.T) {
	router := newRouter(t, io.Discard, &recorder{})
	for method, status := range map[string]int{
		http.MethodGet: http.StatusOK, http.MethodOptions: http.StatusNoContent,
	} {
		response := httptest.NewRecorder()
		router.ServeHTTP(response, httptest.NewRequestWithContext(t.Context(), method, "/ok/1", nil))
		origin := response.Header().Get("Access-Control-Allow-Origin")
		if response.Code != status || origin != "https://shop.example.com" {
			t.Errorf("%s: %d, origin %q", method, response.Code, origin)
		}
	}
}

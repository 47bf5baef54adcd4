package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
)

type ordered map[int64]string

func (o ordered) AddOrder(_ context.Context, item string, _ int) (int64, error) {
	id := int64(len(o) + 1)
	o[id] = item
	return id, nil
}

func (o ordered) OrderedItem(_ context.Context, id int64) (string, bool, error) {
	item, found := o[id]
	return item, found, nil
}

func TestOrders(t *testing.T) {
	router, orders := gin.New(), ordered{}
	router.POST("/v1/orders", postOrder(orders))
	router.GET("/v1/orders/:id", getOrder(orders))
	for _, test := range []struct {
		method, path, body string
		status             int
		answer             string
	}{
		{http.MethodPost, "/v1/orders", `{"item":"tea","quantity":2}`, http.StatusCreated, `{"id":1}`},
		{http.MethodGet, "/v1/orders/1", "", http.StatusOK, `{"id":1,"item":"tea"}`},
		{http.MethodGet, "/v1/orders/2", "", http.StatusNotFound, ""},
		{http.MethodGet, "/v1/orders/x", "", http.StatusBadRequest, ""},
	} {
		request := httptest.NewRequestWithContext(t.Context(), test.method, test.path, strings.NewReader(test.body))
		response := httptest.NewRecorder()
		router.ServeHTTP(response, request)
		if response.Code != test.status || response.Body.String() != test.answer {
			t.Errorf("%s %s: %d %s", test.method, test.path, response.Code, response.Body)
		}
	}
}

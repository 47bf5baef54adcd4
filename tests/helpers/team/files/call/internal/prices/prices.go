// Package prices asks the service of the prices.
package prices

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/svc/internal/httpserver"
)

// Client calls the service of the prices.
type Client struct {
	http *http.Client
	url  string
}

// New returns a client of the service at url.
func New(url string) *Client {
	return &Client{&http.Client{Timeout: 2 * time.Second, Transport: httpserver.NewTransport(nil)}, url}
}

// Price returns what an item costs.
func (p *Client) Price(ctx context.Context, item string) (cents int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/prices/"+url.PathEscape(item), nil)
	if err != nil {
		return 0, err
	}
	response, err := p.http.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("prices: %s", response.Status)
	}
	err = json.NewDecoder(response.Body).Decode(&cents)
	return cents, err
}

// Register adds the route of the prices to router.
func Register(router gin.IRouter, prices *Client) {
	router.GET("/v1/prices/:item", func(c *gin.Context) {
		cents, err := prices.Price(c.Request.Context(), c.Param("item"))
		if err != nil {
			c.Status(http.StatusBadGateway)
			_ = c.Error(err)
			return
		}
		slog.DebugContext(c, "priced", slog.Int("cents", cents))
		c.JSON(http.StatusOK, gin.H{"cents": cents})
	})
}

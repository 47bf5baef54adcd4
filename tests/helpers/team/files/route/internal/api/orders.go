package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"
)

// Orders keeps what was ordered.
type Orders interface {
	AddOrder(ctx context.Context, item string, quantity int) (id int64, err error)
	OrderedItem(ctx context.Context, id int64) (item string, found bool, err error)
}

var (
	errOrderID = errors.New("the id of an order is a number")
	errNoOrder = errors.New("no such order")
)

func postOrder(orders Orders) gin.HandlerFunc {
	return func(c *gin.Context) {
		var order struct {
			Item     string `binding:"required,max=100" json:"item"`
			Quantity int    `binding:"min=1,max=1000"   json:"quantity"`
		}
		if err := c.ShouldBindJSON(&order); err != nil {
			_ = c.Error(err).SetType(gin.ErrorTypeBind)
			return
		}
		id, err := orders.AddOrder(c.Request.Context(), order.Item, order.Quantity)
		if err != nil {
			_ = c.Error(err)
			return
		}
		slog.InfoContext(c, "ordered", slog.Int64("order", id))
		c.JSON(http.StatusCreated, gin.H{"id": id})
	}
}

func getOrder(orders Orders) gin.HandlerFunc {
	return func(c *gin.Context) {
		id, err := strconv.ParseInt(c.Param("id"), 10, 64)
		if err != nil {
			c.Status(http.StatusBadRequest)
			_ = c.Error(errOrderID).SetType(gin.ErrorTypePublic)
			return
		}
		item, found, err := orders.OrderedItem(c.Request.Context(), id)
		if err != nil {
			_ = c.Error(err)
			return
		}
		if !found {
			c.Status(http.StatusNotFound)
			_ = c.Error(errNoOrder).SetType(gin.ErrorTypePublic)
			return
		}
		c.JSON(http.StatusOK, gin.H{"id": id, "item": item})
	}
}

package httpserver

import (
	"testing"

	"github.com/gin-gonic/gin"
)

type order struct {
	Customer string `binding:"required,email" json:"customer"`
	Items    []item `binding:"required,min=1,dive" json:"items"`
	Note     string `binding:"max=5"               json:"note"`
	Kind     string `binding:"omitempty,oneof=a b" json:"kind"`
}

type item struct {
	Quantity int   `binding:"required,max=1000" json:"quantity"`
	Discount *int  `binding:"required"          json:"discount"`
	Gift     *bool `binding:"required"          json:"gift"`
}

func TestWhatIsWrongIsNamedAsTheClientKnowsIt(t *testing.T) {
	router := newRouter(t)
	router.POST("/orders/:id", func(c *gin.Context) {
		var path struct {
			ID int `binding:"max=99" uri:"id"`
		}
		var query struct {
			Limit int  `binding:"omitempty,max=100" form:"limit"`
			Full  bool `form:"full"`
		}
		var body order
		for _, bind := range []func() error{
			func() error { return c.ShouldBindUri(&path) },
			func() error { return c.ShouldBindQuery(&query) },
			func() error { return c.ShouldBindJSON(&body) },
		} {
			if err := bind(); err != nil {
				_ = c.Error(err).SetType(gin.ErrorTypeBind)
				return
			}
		}
	})
	const one = `{"quantity":1,"discount":0,"gift":false}`
	tests := map[string]struct{ path, body, want string }{
		"fine":         {"/orders/1?limit=5", `{"customer":"a@b.co","items":[` + one + `]}`, ""},
		"too much":     {"/orders/1", `{"customer":"a@b.co","items":[` + one + `,{"quantity":1001,"discount":1,"gift":true}]}`, `"errors":{"items[1].quantity":"must be at most 1000"}`},
		"zero":         {"/orders/1", `{"customer":"a@b.co","items":[{"quantity":0,"discount":0,"gift":true}]}`, `"errors":{"items[0].quantity":"is required and must not be 0"}`},
		"missing":      {"/orders/1", `{"customer":"a@b.co","items":[{"quantity":1,"gift":true}]}`, `"errors":{"items[0].discount":"is required"}`},
		"several":      {"/orders/1", `{"items":[],"note":"too long","kind":"c"}`, `"errors":{"customer":"is required","items":"must be at least 1 items","kind":"must be one of a, b","note":"must be at most 5 characters"}`},
		"not an email": {"/orders/1", `{"customer":"me","items":[` + one + `]}`, `"errors":{"customer":"must satisfy email"}`},
		"wrong type":   {"/orders/1", `{"customer":1}`, `"errors":{"customer":"must not be a JSON number"}`},
		"wrong body":   {"/orders/1", `[]`, `"detail":"the body is not the JSON that is expected"`},
		"no body":      {"/orders/1", ``, `"detail":"the body is empty"`},
		"half a body":  {"/orders/1", `{"customer"`, `"detail":"the body is not the JSON that is expected"`},
		"no JSON":      {"/orders/1", `customer=me`, `"detail":"the body is not the JSON that is expected"`},
		"query":        {"/orders/1?limit=abc", `{}`, `"errors":{"limit":"must be a whole number"}`},
		"query, range": {"/orders/1?limit=101", `{}`, `"errors":{"limit":"must be at most 100"}`},
		"query, huge":  {"/orders/1?limit=99999999999999999999", `{}`, `"errors":{"limit":"is out of range"}`},
		"query, bool":  {"/orders/1?full=maybe", `{}`, `"errors":{"full":"must be true or false"}`},
		"path":         {"/orders/abc", `{}`, `"errors":{"id":"must be a whole number"}`},
		"path, range":  {"/orders/100", `{}`, `"errors":{"id":"must be at most 99"}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			want := ""
			if test.want != "" {
				want = `{"title":"Bad Request","status":400,` + test.want + "}"
			}
			if got := router.answer(t, "POST", test.path, test.body).Body.String(); got != want {
				t.Errorf("answered %s, want %s", got, want)
			}
		})
	}
}

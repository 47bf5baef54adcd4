"""Edits of a team in its code, on a service of v0.6.0."""

from __future__ import annotations

from helpers.team.edit import Change, Edit, after, anew

MAIN = "cmd/svc/main.go"
API = "internal/api/api.go"
API_TEST = "internal/api/api_test.go"
CONFIG = "internal/config/config.go"
CONFIG_TEST = "internal/config/config_test.go"
ROUTER = "internal/httpserver/router.go"
README = "README.md"

_PARSE_CONNS = """
func parseConns(text string) (int32, error) {
	conns, err := strconv.ParseInt(text, 10, 32)
	if err != nil || conns < 1 || conns > 100 {
		return 0, fmt.Errorf("%q is no number of connections from 1 to 100", text)
	}
	return int32(conns), nil
}
"""

_CALLED = """\
package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Calls returns a function that counts a call of the API by who made it.
func Calls(registry prometheus.Registerer) func(client string) {
	calls := promauto.With(registry).NewCounterVec(prometheus.CounterOpts{
		Name: "api_calls_total", Help: "Calls of the API, by who made them.",
	}, []string{"client"})
	return func(client string) { calls.WithLabelValues(client).Inc() }
}
"""
_CALLED_TEST = """\
package metrics

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestCallsAreCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	called := Calls(registry)
	called("shop")
	called("shop")
	want := strings.NewReader("# HELP api_calls_total Calls of the API, by who made them.\\n" +
		"# TYPE api_calls_total counter\\napi_calls_total{client=\\"shop\\"} 2\\n")
	if err := testutil.GatherAndCompare(registry, want, "api_calls_total"); err != nil {
		t.Error(err)
	}
}
"""

CODE = (
    Edit(
        "module",
        "A module, `shopspring/decimal`, and a package that uses it",
        [
            after(
                "go.mod",
                "\tgithub.com/rs/zerolog v1.35.1",
                "\tgithub.com/shopspring/decimal v1.6.0",
            ),
            Change(
                "go.sum",
                "github.com/stretchr/objx v0.1.0/go.mod ",
                "github.com/shopspring/decimal v1.6.0 h1:DcTwjCj4tJPLuGZYsR9W0hyX9pQwMIkdo26Ig1T9xX4=\n"
                "github.com/shopspring/decimal v1.6.0/go.mod h1:gawqmDU56v4yIKSwfBSFip1HdCCXN8/+DMd9qYNcwME=\n"
                "github.com/stretchr/objx v0.1.0/go.mod ",
            ),
        ],
        again=[
            Change(
                "go.mod",
                "\n)\n\nrequire (\n",
                "\n\tgithub.com/shopspring/decimal v1.6.0\n)\n\nrequire (\n",
            )
        ],
        told=[
            "Take the template's side, `go get` yours again, and run `go mod tidy`.",
        ],
    ),
    Edit(
        "route",
        "Two routes with a query, a migration and tests",
        [
            Change(
                API,
                "func Register(router gin.IRouter",
                "func Register(router gin.IRouter, orders Orders",
            ),
            after(
                API,
                '\tv1.POST("/greetings", postGreeting)',
                '\tv1.POST("/orders", postOrder(orders))\n\tv1.GET("/orders/:id", getOrder(orders))',
            ),
            Change(API_TEST, "\tRegister(router", "\tRegister(router, ordered{}"),
            Change(MAIN, "\tapi.Register(router", "\tapi.Register(router, db"),
            after(
                README,
                "| 8080 | `GET /v1/greetings/{name}`, `POST /v1/greetings` | the example to replace, in `internal/api` |",
                "| 8080 | `POST /v1/orders`, `GET /v1/orders/{id}` | what was ordered |",
            ),
        ],
        again=[
            after(API, "\tGreetings greeting.Store", "\tOrders    Orders"),
            after(
                API,
                '\tv1.DELETE("/greetings/:name", greetings.delete)',
                '\tv1.POST("/orders", postOrder(deps.Orders))\n\tv1.GET("/orders/:id", getOrder(deps.Orders))',
            ),
            Change(MAIN, "Greetings: greetings}", "Greetings: greetings, Orders: db}"),
            after(
                README,
                "| 8080 | `GET` and `POST /v1/greetings`, `GET` and `DELETE /v1/greetings/{name}` | the example to replace: `internal/api`, `internal/greeting`, `internal/postgres` |",
                "| 8080 | `POST /v1/orders`, `GET /v1/orders/{id}` | what was ordered |",
            ),
        ],
        needless=[API_TEST],
        told=[
            "`api.Register`** takes `api.Deps`",
        ],
    ),
    Edit(
        "setting",
        "A setting, `DATABASE_CONNS`",
        [
            after(CONFIG, "\tFlushTimeout    time.Duration", "\tDatabaseConns   int32"),
            after(
                CONFIG,
                '\t\tFlushTimeout:    get(env, "FLUSH_TIMEOUT", "5s", timeout),',
                '\t\tDatabaseConns:   get(env, "DATABASE_CONNS", "10", parseConns),',
            ),
            Change(
                CONFIG, "\n// parseDuration returns", f"{_PARSE_CONNS}\n// parseDuration returns"
            ),
            after(
                CONFIG_TEST,
                "\t\tFlushTimeout:    1500 * time.Millisecond,",
                "\t\tDatabaseConns:   10,",
            ),
            after(
                CONFIG_TEST,
                '\t\t"GRACE_PERIOD=soon":           `GRACE_PERIOD (environment): "soon" is no duration`,',
                '\t\t"DATABASE_CONNS=0":            `DATABASE_CONNS (environment): "0" is no number of connections`,',
            ),
            Change(
                MAIN,
                "\tlogging.SetLevel(cfg.LogLevel)\n",
                "\tpostgresConfig.MaxConns = cfg.DatabaseConns\n\tlogging.SetLevel(cfg.LogLevel)\n",
            ),
            Change(
                README,
                "| `LOG_LEVEL` | `info` |",
                "| `DATABASE_CONNS` | `10` | connections of a replica |\n| `LOG_LEVEL` | `info` |",
            ),
            after(
                "deploy/kubernetes/base/kustomization.yaml",
                "      - GRACE_PERIOD=60s",
                "      - DATABASE_CONNS=20",
            ),
        ],
        again=[
            after(
                CONFIG,
                '\tDatabaseURL    Secret   `env:"DATABASE_URL" validate:"required"`',
                '\tDatabaseConns  int32    `env:"DATABASE_CONNS" default:"10" validate:"min=1,max=100"`',
            ),
            Change(
                MAIN,
                "\tdb, err := postgres.Open(background, postgresConfig)\n",
                "\tpostgresConfig.MaxConns = cfg.DatabaseConns\n\tdb, err := postgres.Open(background, postgresConfig)\n",
            ),
        ],
        needless=[CONFIG_TEST],
        told=[
            "**A setting** is one field of `Config` with tags, and no longer a call of `get`",
            "Your parser and your row in the test of the whole struct can go.",
        ],
    ),
    Edit(
        "middleware",
        "A middleware, CORS",
        [Change(ROUTER, "recovery(log))\n", 'recovery(log), cors("https://shop.example.com"))\n')],
        again=[
            Change(
                ROUTER, "recovery(o.Log))\n", 'recovery(o.Log), cors("https://shop.example.com"))\n'
            )
        ],
        mended=[
            Change(
                "internal/httpserver/cors_test.go",
                "newRouter(t, io.Discard, &recorder{})",
                "newRouter(t)",
            ),
            Change("internal/httpserver/cors_test.go", '\t"io"\n', ""),
        ],
        told=[
            "`NewRouter` takes `httpserver.Options`; add yours at the end of `router.Use(…)` as before.",
            "Tests in the package call `newRouter(t)`.",
        ],
    ),
    Edit(
        "metric",
        "A metric by `metrics.Recorder`",
        [
            Change(
                API,
                "func Register(router gin.IRouter",
                "func Register(router gin.IRouter, called func(client string)",
            ),
            Change(API, 'router.Group("/v1")', 'router.Group("/v1", counted(called))'),
            Change(API_TEST, "\tRegister(router", "\tRegister(router, func(string) {}"),
            Change(MAIN, "\tapi.Register(router", "\tapi.Register(router, recorder.Called"),
        ],
        again=[
            Change(
                API,
                "\n// Register adds",
                "\n// Called counts a call.\ntype Called func(client string)\n\n// Register adds",
            ),
            Change(API, "type Deps struct {\n", "type Deps struct {\n\tCalled\n"),
            Change(API, 'router.Group("/v1")', 'router.Group("/v1", counted(deps.Called))'),
            Change(
                MAIN,
                "api.Deps{Registry: registry",
                "api.Deps{Called: recorder.Called, Registry: registry",
            ),
            Change(
                API_TEST,
                "\tRegister(router, deps)",
                "\tdeps.Called = func(string) {}\n\tRegister(router, deps)",
            ),
        ],
        mended=[
            anew("metric", "internal/metrics/calls.go", _CALLED),
            anew("metric", "internal/metrics/calls_test.go", _CALLED_TEST),
            Change(MAIN, "recorder.Called", "metrics.Calls(registry)"),
        ],
        told=[
            "`api.Register`** takes `api.Deps`",
            "`metrics.Recorder` is gone.",
            "Make yours with the registry of `main.go`: `promauto.With(registry).NewCounterVec(…)`, and hand what counts to your handlers.",
            "In tests, `prometheus.NewRegistry()` and `testutil.GatherAndCompare` take the place of `expose`.",
        ],
    ),
    Edit(
        "call",
        "A call of another service, by `httpserver.NewTransport`",
        [
            after(
                MAIN, '\t"example.com/svc/internal/postgres"', '\t"example.com/svc/internal/prices"'
            ),
            Change(
                MAIN,
                "\tapi.Register(router",
                '\tprices.Register(router, prices.New("http://prices:8080"))\n\tapi.Register(router',
            ),
        ],
        mended=[
            Change(
                "internal/prices/prices.go",
                "&http.Client{Timeout: 2 * time.Second, Transport: httpserver.NewTransport(nil)}, url",
                'httpclient.New("prices", registry), url',
            ),
            Change("internal/prices/prices.go", "internal/httpserver", "internal/httpclient"),
            Change("internal/prices/prices.go", '\t"time"\n', ""),
            Change(
                "internal/prices/prices.go",
                "func New(url string)",
                "func New(url string, registry prometheus.Registerer)",
            ),
            after(
                "internal/prices/prices.go",
                '\t"github.com/gin-gonic/gin"',
                '\t"github.com/prometheus/client_golang/prometheus"',
            ),
            after(
                "internal/prices/prices_test.go",
                '\t"github.com/gin-gonic/gin"',
                '\t"github.com/prometheus/client_golang/prometheus"',
            ),
            Change(
                "internal/prices/prices_test.go",
                "New(other.URL)",
                "New(other.URL, prometheus.NewRegistry())",
            ),
            Change(
                MAIN,
                'prices.New("http://prices:8080")',
                'prices.New("http://prices:8080", registry)',
            ),
        ],
        told=[
            "`httpserver.NewTransport` is gone.",
            '`httpclient.New("name", registry)` returns a client with a time-out, retries, metrics and the trace.',
        ],
    ),
)

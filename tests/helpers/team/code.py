"""Edits of a team in its code, on a service of v0.6.0."""

from __future__ import annotations

from helpers.team.edit import Change, Edit, after

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
    ),
    Edit(
        "middleware",
        "A middleware, CORS",
        [Change(ROUTER, "recovery(log))\n", 'recovery(log), cors("https://shop.example.com"))\n')],
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
    ),
)

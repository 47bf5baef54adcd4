-- wrk creates greetings instead of asking for one.
wrk.method = "POST"
wrk.path = "/v1/greetings"
wrk.body = '{"name":"Ada"}'
wrk.headers["Content-Type"] = "application/json"

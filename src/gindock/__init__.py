"""gindock renders a container-ready repository around a Go Gin service, and keeps it up to date."""

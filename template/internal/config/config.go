// Package config reads the settings of the service from the environment.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Config holds the settings that are not secret.
type Config struct {
	HTTPAddr        string
	AdminAddr       string
	LogLevel        slog.Level
	TrustedProxies  []string
	DrainDelay      time.Duration
	ShutdownTimeout time.Duration
	FlushTimeout    time.Duration
}

// Load reads the settings; mistakes are kept in env.
func Load(env *Env) Config {
	return Config{
		HTTPAddr:        get(env, "HTTP_ADDR", defaultHTTPAddr, parseAddr),
		AdminAddr:       get(env, "ADMIN_ADDR", defaultAdminAddr, parseAddr),
		LogLevel:        get(env, "LOG_LEVEL", "info", parseLevel),
		TrustedProxies:  get(env, "TRUSTED_PROXIES", "", parseProxies),
		DrainDelay:      get(env, "DRAIN_DELAY", defaultDrainDelay, parseDelay),
		ShutdownTimeout: get(env, "SHUTDOWN_TIMEOUT", defaultShutdownTimeout, parseTimeout),
		FlushTimeout:    get(env, "FLUSH_TIMEOUT", defaultFlushTimeout, parseTimeout),
	}
}

// Env is the environment, with every mistake found in it and every setting read from it.
type Env struct {
	getenv   func(string) string
	errs     []error
	settings []slog.Attr
}

// NewEnv returns an Env that looks variables up with getenv.
func NewEnv(getenv func(string) string) *Env {
	return &Env{getenv: getenv}
}

// Err returns all mistakes at once; each names its variable.
func (e *Env) Err() error {
	return errors.Join(e.errs...)
}

// LogValue lists the settings in effect, without secrets.
func (e *Env) LogValue() slog.Value {
	return slog.GroupValue(e.settings...)
}

// get parses a variable, or fallback where it is unset or empty.
func get[T any](e *Env, key, fallback string, parse func(string) (T, error)) T {
	text := cmp.Or(e.getenv(key), fallback)
	value, err := parse(text)
	if err != nil {
		e.errs = append(e.errs, fmt.Errorf("%s: %w", key, err))
	}
	e.settings = append(e.settings, slog.String(key, text))
	return value
}

func parseAddr(text string) (string, error) {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", fmt.Errorf("%q is no listen address, use host:port or :port", text)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("%q has no port between 0 and 65535", text)
	}
	return text, nil
}

func parseLevel(text string) (slog.Level, error) {
	switch strings.ToLower(text) {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("%q is no log level, use debug, info, warn or error", text)
}

func parseProxies(text string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	var proxies []string
	for item := range strings.SplitSeq(text, ",") {
		item = strings.TrimSpace(item)
		_, addrErr := netip.ParseAddr(item)
		_, prefixErr := netip.ParsePrefix(item)
		if addrErr != nil && prefixErr != nil {
			return nil, fmt.Errorf("%q is no IP address and no CIDR range", item)
		}
		proxies = append(proxies, item)
	}
	return proxies, nil
}

func parseDelay(text string) (time.Duration, error) {
	delay, err := time.ParseDuration(text)
	if err != nil || delay < 0 {
		return 0, fmt.Errorf("%q is no delay, use a duration such as 10s", text)
	}
	return delay, nil
}

func parseTimeout(text string) (time.Duration, error) {
	timeout, err := time.ParseDuration(text)
	if err != nil || timeout <= 0 {
		return 0, fmt.Errorf("%q is no timeout, use a duration above zero such as 30s", text)
	}
	return timeout, nil
}

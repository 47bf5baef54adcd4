package health

import (
	"context"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

const (
	checkInterval = 5 * time.Second
	checkTimeout  = time.Second
	// firstRetry doubles up to checkInterval, until a dependency is there for the first time.
	firstRetry = 250 * time.Millisecond
)

// Check is a dependency that can be asked whether it works.
type Check struct {
	Ping     func(context.Context) error
	Critical bool // nothing works without it
}

// Checker checks the dependencies in the background, so that a probe never waits for one.
type Checker struct {
	log    *slog.Logger
	checks map[string]Check
	works  *prometheus.GaugeVec

	mu      sync.RWMutex
	results map[string]Result
}

// NewChecker returns a checker, whose results are in registry too.
func NewChecker(log *slog.Logger, checks map[string]Check, registry prometheus.Registerer) *Checker {
	works := promauto.With(registry).NewGaugeVec(prometheus.GaugeOpts{
		Name: "dependency_up", Help: "Whether the last check of a dependency found it working.",
	}, []string{"name"})
	return &Checker{log: log, checks: checks, works: works, results: map[string]Result{}}
}

// Run checks the dependencies until ctx ends.
func (c *Checker) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for name, check := range c.checks {
		wg.Go(func() {
			for wait := firstRetry; ctx.Err() == nil; wait = min(2*wait, checkInterval) {
				if c.check(ctx, name, check) {
					wait = checkInterval
				}
				select {
				case <-ctx.Done():
				case <-time.After(wait):
				}
			}
		})
	}
	wg.Wait()
}

// check asks a dependency, and returns whether it works.
func (c *Checker) check(ctx context.Context, name string, check Check) bool {
	pingCtx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	start := time.Now()
	err := check.Ping(pingCtx)
	if ctx.Err() != nil {
		return false // the check was called off, which says nothing about the dependency
	}
	now, works := Result{Up, time.Since(start).Milliseconds()}, 1.0
	if err != nil {
		now.Status, works = Down, 0
	}
	c.works.WithLabelValues(name).Set(works)
	c.mu.Lock()
	before := c.results[name]
	c.results[name] = now
	c.mu.Unlock()

	switch {
	case now.Status == before.Status:
	case err != nil:
		cause := strings.Join(strings.Fields(err.Error()), " ") // on one line
		c.log.WarnContext(ctx, "dependency is down",
			slog.String("dependency", name), slog.Bool("critical", check.Critical), slog.String("error", cause))
	default:
		c.log.InfoContext(ctx, "dependency is up", slog.String("dependency", name))
	}
	return err == nil
}

// State returns the last results, whether there is one of each, and what follows from them.
func (c *Checker) State() (status string, checked bool, details map[string]Result) {
	c.mu.RLock()
	details = maps.Clone(c.results)
	c.mu.RUnlock()
	status, checked = Up, len(details) == len(c.checks)
	for name, check := range c.checks {
		switch {
		case details[name].Status == Up:
		case check.Critical:
			return Down, checked, details
		default:
			status = "DEGRADED"
		}
	}
	return status, checked, details
}

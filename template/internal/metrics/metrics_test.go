package metrics

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestTheBuildAndTheProcessAreDescribed(t *testing.T) {
	registry := New("v1.2.3", "abc")
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	for _, family := range families {
		names[family.GetName()] = family.GetMetric()[0].String()
		if family.GetHelp() == "" {
			t.Errorf("%s has no help", family.GetName())
		}
	}
	for _, name := range []string{"process_resident_memory_bytes", "process_cpu_seconds_total", "go_goroutines", "go_memstats_heap_alloc_bytes", "go_memlimit_bytes", "go_gc_cpu_seconds_total", "go_gc_pauses_seconds"} {
		if names[name] == "" {
			t.Errorf("no %s", name)
		}
	}
	if !strings.Contains(names["build_info"], "v1.2.3") {
		t.Errorf("build_info is %q", names["build_info"])
	}
}

func TestReloadsAreCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	reloaded := ConfigReloads(registry)
	check := func(last, success, failure string) {
		t.Helper()
		want := `
# HELP config_last_reload_successful Whether the last change of the configuration file was accepted.
# TYPE config_last_reload_successful gauge
config_last_reload_successful ` + last + `
# HELP config_reloads_total Changes of the configuration file, by result.
# TYPE config_reloads_total counter
config_reloads_total{result="failure"} ` + failure + `
config_reloads_total{result="success"} ` + success + "\n"
		if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
			t.Error(err)
		}
	}
	check("1", "0", "0")
	reloaded(false)
	check("0", "0", "1")
	reloaded(true)
	check("1", "1", "1")
}

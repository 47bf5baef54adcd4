package metrics

import (
	"strings"
	"testing"
)

func TestCallsAreCounted(t *testing.T) {
	recorder := New("", "")
	recorder.Called("shop")
	recorder.Called("shop")
	if text := expose(recorder); !strings.Contains(text, `api_calls_total{client="shop"} 2`+"\n") {
		t.Errorf("got %s", text)
	}
}

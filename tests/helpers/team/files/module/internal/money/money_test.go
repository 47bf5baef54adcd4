package money

import "testing"

func TestTotal(t *testing.T) {
	if got, err := Total("0.10", 3); err != nil || got != "0.30" {
		t.Errorf("got %s, %v", got, err)
	}
	if got, err := Total("a tenth", 3); err == nil {
		t.Errorf("got %s", got)
	}
}

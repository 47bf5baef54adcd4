package metrics

import "fmt"

// Called counts a call of the API by who made it.
func (r *Recorder) Called(client string) {
	r.set.GetOrCreateCounter(fmt.Sprintf("api_calls_total{client=%q}", client)).Inc()
}

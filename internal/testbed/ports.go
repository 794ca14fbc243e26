package testbed

import (
	"testing"

	"github.com/OdyseeTeam/prism/internal/process"
)

// Ports reserves n free ports of loopback until the test ends.
func Ports(t testing.TB, n int) []int {
	t.Helper()
	p, err := process.ReservePorts(make([]int, n)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p.Numbers
}

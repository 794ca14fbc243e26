package crashtest_test

import (
	"testing"

	"github.com/OdyseeTeam/prism/engine/check/checktest"
)

// checked has the checker read everything on a mount that nobody has open, and gives what it says.
func checked(t *testing.T, mount string) string {
	t.Helper()
	return checktest.Clean(t, nil, mount).String()
}

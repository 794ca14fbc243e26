package crashtest_test

import (
	"testing"

	"github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// checked has the checker read everything on a mount that nobody has open, and gives what it says.
func checked(t *testing.T, mount string) string {
	t.Helper()
	report, err := check.Mount(t.Context(), diskfs.OS(), mount, check.Options{Payloads: true, Hashes: true})
	if err != nil {
		t.Fatal(err)
	}
	if !report.Clean() {
		t.Errorf("the checker finds: %s", report)
	}
	return report.String()
}

package checktest_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/engine/check/checktest"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/segments"
	"github.com/OdyseeTeam/prism/segments/mount"
)

// recorder is a test that keeps what is said of it.
type recorder struct {
	testing.TB
	atEnd []func()
	said  []string
}

func (r *recorder) Helper()                     {}
func (r *recorder) Cleanup(f func())            { r.atEnd = append(r.atEnd, f) }
func (r *recorder) Errorf(f string, arg ...any) { r.said = append(r.said, fmt.Sprintf(f, arg...)) }
func (r *recorder) Fatal(arg ...any)            { r.said = append(r.said, fmt.Sprint(arg...)) }

// ends runs what was registered, the last first, and wants one complaint with a text in it, or none.
func (r *recorder) ends(want string) {
	r.TB.Helper()
	for i := range r.atEnd {
		r.atEnd[len(r.atEnd)-1-i]()
	}
	said := strings.Join(r.said, "\n")
	if (want == "") != (said == "") || !strings.Contains(said, want) {
		r.TB.Errorf("said %q, want %q", said, want)
	}
}

// emptyMount is a mount without segments.
func emptyMount(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "m")
	m, err := mount.Open(diskfs.OS(), dir, mount.Superblock{SegmentSize: 1 << 24, IndexFormat: uint32(index.FormatVersion), IDCeiling: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAfter(t *testing.T) {
	dir := emptyMount(t)
	r := &recorder{TB: t}
	checktest.After(r, nil, dir)
	checktest.AfterConfigured(r, `{caching: {cache: {disk: {mount_point: "`+dir+`", max_size: 1GB}}, origin: {disk: {mount_point: /none/a}}}}`)
	if len(r.atEnd) != 3 {
		t.Errorf("%d checks, want 3", len(r.atEnd))
	}
	r.ends("")

	foreign := filepath.Join(dir, "segments", mount.SegmentName(segments.ID(9)))
	if err := os.WriteFile(foreign, []byte("no segment"), fs.FileMode(0o600)); err != nil {
		t.Fatal(err)
	}
	r.ends("superblock 9: ")
}

func TestAfterNothing(t *testing.T) {
	r := &recorder{TB: t}
	checktest.After(r, nil, t.TempDir())
	checktest.After(r, nil, "/none")
	r.ends("")
	checktest.Except(r, "this is about nothing")
	r.ends("")
	checktest.Except(r, "")
	r.ends("reason")
}

// TestAfterUnclosed: a mount that somebody still has open was not closed by the test.
func TestAfterUnclosed(t *testing.T) {
	dir := emptyMount(t)
	m, err := mount.Open(diskfs.OS(), dir, mount.Superblock{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	r := &recorder{TB: t}
	checktest.After(r, nil, dir)
	r.ends("cannot be checked")
}

package migrate_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/tools/fsck/migrate"
)

// littleRoomFS says that its disk is nearly full.
type littleRoomFS struct{ diskfs.FS }

func (f littleRoomFS) Usage(path string) (diskfs.Usage, error) {
	u, err := f.FS.Usage(path)
	u.Free = min(u.Free, 256<<20)
	return u, err
}

// On a disk with little room one segment is preallocated at a time; the others would take what the blobs need.
func TestLittleRoom(t *testing.T) {
	leaktest.Check(t)
	b := filesBed(t, t.TempDir(), 36, 80, 600_000, 2)
	var made atomic.Int64
	fsys := faultyFS{FS: littleRoomFS{diskfs.OS()}, create: func(path string) error {
		if strings.HasPrefix(path, b.to) && strings.HasSuffix(path, ".seg") {
			made.Add(1)
		}
		return nil
	}}
	rep := run(t, migrate.Options{From: b.from, To: b.to, Move: true, FS: fsys})
	// The tail of a segment that has no room for the next blob stays empty, and after the last blob one more may begin.
	if most := rep.CopiedBytes/(segmentSize-700_000) + 2; made.Load() > most {
		t.Errorf("%d segments were made for %d bytes, want at most %d", made.Load(), rep.CopiedBytes, most)
	}
	b.mustHave(t, migrate.Segments, 0)
	mustBeClean(t, b.to)
}

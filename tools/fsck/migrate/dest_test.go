package migrate

import (
	"errors"
	"testing"

	"github.com/OdyseeTeam/prism/internal/diskfs"
)

type freeFS struct {
	diskfs.FS
	free int64
	err  error
}

func (f freeFS) Usage(string) (diskfs.Usage, error) { return diskfs.Usage{Free: f.free}, f.err }

// What takes more room than two segments is done only where there is plenty.
func TestRoomy(t *testing.T) {
	for _, c := range []struct {
		segment, free int64
		want          bool
	}{
		{16 << 20, 1152 << 20, true}, {16 << 20, 1152<<20 - 1, false},
		{1 << 30, 9 << 30, true}, {1 << 30, 9<<30 - 1, false},
		{0, 9 << 30, true}, {0, 9<<30 - 1, false}, // the cap may make it as large
	} {
		m := &Migration{o: Options{FS: freeFS{free: c.free}}}
		if got, err := m.roomy(c.segment); err != nil || got != c.want {
			t.Errorf("segments of %d, %d bytes free: %v, %v; want %v", c.segment, c.free, got, err, c.want)
		}
	}
	failed := errors.New("failed")
	m := &Migration{o: Options{FS: freeFS{free: 1 << 40, err: failed}}}
	if _, err := m.roomy(1 << 20); !errors.Is(err, failed) {
		t.Errorf("a disk that cannot tell: %v", err)
	}
}

// The batches of a disk with little room leave the room of two segments enough.
func TestFrugalBatch(t *testing.T) {
	for segment, want := range map[int64]int64{0: 64 << 20, 4 << 20: 2 << 20, 48 << 20: 8 << 20, 1 << 30: 64 << 20} {
		if got := frugalBatch(segment); got != want {
			t.Errorf("segments of %d bytes: %d, want %d", segment, got, want)
		}
	}
}

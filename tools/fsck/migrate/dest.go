package migrate

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/segments/mount"
	"github.com/OdyseeTeam/prism/stores/disk"
)

// destination is the store that blobs are put in.
type destination interface {
	Has(ctx context.Context, h blob.Hash) (bool, error)
	Get(ctx context.Context, h blob.Hash) (blob.Handle, error)
	Put(ctx context.Context, v blob.Verified, kind blob.Kind) error
	Delete(ctx context.Context, h blob.Hash) error
	Flush(ctx context.Context) error
	WaitRecovered(ctx context.Context) error
	Stats() engine.Stats
	Close() error
}

// openDestination opens the store, which takes its lock. It evicts nothing: what it lets go could be the only copy.
func (m *Migration) openDestination(ctx context.Context) (destination, error) {
	maxSize, minFree := max(m.o.MaxSize, 0), int64(0)
	if m.inPlace() {
		minFree = 1 // what the source has given back is room enough in the end
	}
	var d destination
	var err error
	if m.o.Layout == Sharded {
		m.batch = maxFrugalBatch
		d, err = m.openFilesDestination(ctx, maxSize, minFree)
	} else {
		d, err = m.openSegmentsDestination(ctx, maxSize, minFree)
	}
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	if err := d.WaitRecovered(ctx); err != nil { // what an earlier run put must be known
		return nil, errors.Join(fmt.Errorf("migrate: %w", err), d.Close())
	}
	return d, nil
}

func (m *Migration) openFilesDestination(ctx context.Context, maxSize, minFree int64) (destination, error) {
	s, err := disk.Open(ctx, disk.Options{
		Name: "migrate", MountPoint: m.to, Mode: disk.ModeSharded, ShardingSize: m.o.ShardingSize, HasShardingSize: true,
		MaxSize: maxSize, MinFree: minFree, KeepAll: true, FS: m.o.FS, Logger: m.o.Logger,
	})
	if err != nil {
		return nil, err // not the nil *Store, which would make a destination that is not nil
	}
	return s, nil
}

func (m *Migration) openSegmentsDestination(ctx context.Context, maxSize, minFree int64) (destination, error) {
	size, err := m.segmentSize()
	if err != nil {
		return nil, err
	}
	o := engine.Options{
		FS: m.o.FS, Dir: m.to, MaxSize: maxSize, MinFree: minFree, SegmentSize: size, KeepAll: true, Logger: m.o.Logger,
	}
	m.batch = maxBatch
	if m.inPlace() {
		roomy, err := m.roomy(size)
		if err != nil {
			return nil, err
		}
		if !roomy {
			o.ActiveSegments = 1 // each is preallocated whole
			m.batch = frugalBatch(size)
		}
	}
	e, err := engine.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	return e, nil
}

// inPlace says whether the destination gets its room from the source.
func (m *Migration) inPlace() bool { return m.o.Move && m.sameDisk }

// roomy says whether the disk has room to spare for what makes a migration in place fast: several segments that fill side
// by side, each preallocated, and large batches. Where others fill the disk meanwhile, the run ends with an error, and the
// next one is frugal.
func (m *Migration) roomy(segmentSize int64) (bool, error) {
	u, err := m.o.FS.Usage(m.from)
	if err != nil {
		return false, err
	}
	if segmentSize == 0 {
		segmentSize = maxDefaultSegment
	}
	return u.Free >= 8*(segmentSize+maxBatch), nil // four segments and six batches are under way at most
}

// frugalBatch is a batch that leaves the room of two segments enough: see maxBatch.
func frugalBatch(segmentSize int64) int64 {
	if segmentSize == 0 {
		return maxFrugalBatch
	}
	return max(blob.MaxSize, min(maxFrugalBatch, segmentSize/6))
}

// maxDefaultSegment is the largest segment that nobody asked for.
const maxDefaultSegment = 1 << 30

// segmentSize is what was asked for, what the store has, or, where nothing bounds it, what its disk suggests; 0 leaves it
// to the cap.
func (m *Migration) segmentSize() (int64, error) {
	if m.o.SegmentSize > 0 {
		return m.o.SegmentSize, nil
	}
	if s, err := mount.ReadSuperblock(m.o.FS, m.to); err == nil && s.SegmentSize > 0 {
		return s.SegmentSize, nil
	}
	if m.o.MaxSize > 0 {
		return 0, nil
	}
	u, err := m.o.FS.Usage(filepath.Dir(m.to))
	if err != nil {
		return 0, fmt.Errorf("migrate: %w", err)
	}
	return min(max(u.Total/64, 16<<20), maxDefaultSegment), nil
}

// slotBytes is what a blob takes in a destination beside its payload: a slot, and rows of the index.
const slotBytes = 256

// mustFit refuses what cannot end well before it begins.
func (m *Migration) mustFit() error {
	st := m.dst.Stats()
	need := m.count.foundBytes.Load() + m.count.found.Load()*slotBytes - st.LiveBytes
	room := st.Limit - st.Used
	if m.inPlace() {
		if m.o.MaxSize == NoCap {
			return nil
		}
		room = m.o.MaxSize - st.Used
	}
	if need > room {
		return fmt.Errorf("migrate: %w: the source holds about %d bytes more than it has, and it may take %d: give it a larger "+
			"max_size or disk, or shrink the source first with a smaller max_size of its own", ErrRoom, need, max(room, 0))
	}
	return nil
}

package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/evict"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/segments"
)

// Sync is what an acknowledged Put promises. Whatever it says, a Get after a crash gives the right bytes or a miss.
type Sync uint8

const (
	// SyncInterval promises that what was acknowledged is durable within Options.SyncInterval.
	SyncInterval Sync = iota
	// SyncAlways promises that what is acknowledged is durable.
	SyncAlways
	// SyncNever promises that what was acknowledged is durable after a clean Close.
	SyncNever
)

// ParseSync reads a policy's name: always, interval or never; the empty name is interval.
func ParseSync(s string) (Sync, error) {
	switch s {
	case "", "interval":
		return SyncInterval, nil
	case "always":
		return SyncAlways, nil
	case "never":
		return SyncNever, nil
	}
	return 0, fmt.Errorf("engine: there is no sync policy %q: use always, interval or never", s)
}

// String is the policy's name.
func (s Sync) String() string { return [...]string{"interval", "always", "never"}[s] }

// Options says how to open a mount. The zero value of each field is its default; only Dir is required. Sizes are in
// bytes.
type Options struct {
	FS  diskfs.FS // default: the operating system's
	Dir string

	// MaxSize bounds everything on the mount; 0 leaves MinFree as the only bound.
	MaxSize int64
	// MinFree is kept free on the file system. Default: the larger of 1 % and 1 GiB.
	MinFree int64
	// SegmentSize is the payload of one segment. Default: MaxSize / 64, between 16 MiB and 1 GiB.
	SegmentSize int64
	// ActiveSegments is how many segments take puts side by side. A file takes one write at a time, and a writer that
	// waits for it keeps a thread, so more than processors are worth it. Default: 4.
	ActiveSegments int

	// OpenSegments is how many segments are open and mapped at once, those aside that are in use. Default: 1024.
	OpenSegments int

	Sync         Sync
	SyncInterval time.Duration // default 1 s
	IndexCache   int64         // default 64 MiB
	Eviction     string        // name of a policy of engine/evict; default lru
	KeepAll      bool          // evict nothing: a Put that finds no room is blob.ErrFull

	// ScrubPeriod is the time within which every payload is read once and compared with its CRC, whether anybody asks for it
	// or not. 0: never.
	ScrubPeriod time.Duration

	Logger *slog.Logger // default: slog.Default()
}

const (
	minSegment      = 16 << 20
	maxSegment      = 1 << 30
	defaultSegment  = maxSegment
	defaultCache    = 64 << 20
	defaultMinFree  = 1 << 30
	segmentsPerSize = 64
	defaultActive   = 4
	defaultOpen     = 1024 // vm.max_map_count is 65,530, and the index has descriptors of its own
	coldBuffers     = 32
)

// ErrOptions means that an option has a value that cannot be.
var ErrOptions = errors.New("engine: bad option")

// Check says what is wrong with the options as such, without a look at the disk. The error is ErrOptions.
func (o Options) Check() error {
	_, err := o.withDefaults()
	return err
}

// withDefaults fills in what is not set and checks the rest.
func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, fmt.Errorf("%w: no folder", ErrOptions)
	}
	if o.MaxSize < 0 || o.MinFree < 0 || o.SegmentSize < 0 || o.IndexCache < 0 || o.ActiveSegments < 0 || o.OpenSegments < 0 || o.ScrubPeriod < 0 {
		return o, fmt.Errorf("%w: a negative size or time", ErrOptions)
	}
	if o.FS == nil {
		o.FS = diskfs.OS()
	}
	if o.SegmentSize == 0 {
		o.SegmentSize = defaultSegment
		if o.MaxSize > 0 {
			o.SegmentSize = min(max(o.MaxSize/segmentsPerSize, minSegment), maxSegment)
		}
	}
	o.SegmentSize = (o.SegmentSize + segments.BlockSize - 1) &^ (segments.BlockSize - 1)
	if o.SegmentSize < blob.MaxSize {
		return o, fmt.Errorf("%w: segment_size %d is less than one blob of %d bytes", ErrOptions, o.SegmentSize, blob.MaxSize)
	}
	if o.ActiveSegments == 0 {
		o.ActiveSegments = defaultActive
	}
	if least := leastSize(o.SegmentSize); o.MaxSize > 0 && o.MaxSize < least {
		return o, fmt.Errorf("%w: max_size %d is less than %d, which two segments of %d bytes and the index need", ErrOptions, o.MaxSize, least, o.SegmentSize)
	}
	if o.MaxSize > 0 {
		// A quarter of the cap at most may be preallocation that holds nothing yet.
		o.ActiveSegments = max(1, min(o.ActiveSegments, int(o.MaxSize/o.SegmentSize/8)))
	}
	if o.SyncInterval <= 0 {
		o.SyncInterval = time.Second
	}
	if o.OpenSegments == 0 {
		o.OpenSegments = defaultOpen
	}
	if o.IndexCache == 0 {
		o.IndexCache = defaultCache
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if _, err := evict.New(o.Eviction); err != nil {
		return o, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	return o, nil
}

// leastSize is the smallest cap that leaves room to work in.
func leastSize(segment int64) int64 { return 2*segment + indexReserve }

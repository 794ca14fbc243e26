package disk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/engine/evict"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/sharded"
	"github.com/OdyseeTeam/prism/stores"
)

// Mode is how blobs lie on the disk.
type Mode string

// The modes.
const (
	ModeAuto     Mode = "" // what the folder and sharding_size say
	ModeSegments Mode = "segments"
	ModeSharded  Mode = "sharded"
)

// Options are the settings of a Store. Only MountPoint is required. Sizes are in bytes, and 0 is the default.
type Options struct {
	Name       string // follows "disk-" in Name; empty: the kind alone
	MountPoint string // the folder; its last element is made when it is missing

	Mode            Mode
	ShardingSize    int  // mode sharded: length of the folders' names, 0 for none
	HasShardingSize bool // whether ShardingSize was given; only that tells 0 from nothing

	MaxSize     int64 // bound of everything on the mount; 0: MinFree alone bounds it
	MinFree     int64 // kept free on the file system; 0: the larger of 1 % and 1 GiB
	SegmentSize int64 // mode segments: payload of a segment
	IndexCache  int64 // RAM for the index; 0: 64 MiB

	ScrubPeriod time.Duration // mode segments: within which all is read once; 0: never

	Sync     string // always, interval (the default) or never
	Eviction string // a policy of engine/evict; the default is lru
	KeepAll  bool   // evict nothing: a Put that finds no room is blob.ErrFull

	FS     diskfs.FS    // default: the operating system's
	Logger *slog.Logger // default: slog.Default()
}

// ErrOptions: settings that cannot be.
var ErrOptions = errors.New("disk: bad settings")

// Check says what is wrong with the settings as such, without a look at the disk.
func (o Options) Check() error {
	_, syncErr := engine.ParseSync(o.Sync)
	_, evictErr := evict.New(o.Eviction)
	var err error
	switch {
	case o.MountPoint == "":
		err = errors.New("mount_point is missing")
	case o.Mode != ModeAuto && o.Mode != ModeSegments && o.Mode != ModeSharded:
		err = fmt.Errorf("there is no mode %q: use segments or sharded", o.Mode)
	case o.ShardingSize < 0 || o.ShardingSize > sharded.MaxPrefix:
		err = fmt.Errorf("sharding_size %d: use 0 to %d", o.ShardingSize, sharded.MaxPrefix)
	case o.Mode == ModeSegments && o.ShardingSize > 0:
		err = fmt.Errorf("sharding_size %d says one file a blob, and mode says segments: drop one of them", o.ShardingSize)
	case o.MaxSize < 0 || o.MinFree < 0 || o.SegmentSize < 0 || o.IndexCache < 0 || o.ScrubPeriod < 0:
		err = errors.New("a size or time is negative")
	case syncErr != nil:
		err = syncErr
	case evictErr != nil:
		err = evictErr
	case o.Mode != ModeSharded && o.ShardingSize == 0:
		err = o.engine().Check()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrOptions, err)
	}
	return nil
}

// backend is what a mode is: everything of a Store but its name and its hops.
type backend interface {
	Has(ctx context.Context, h blob.Hash) (bool, error)
	Get(ctx context.Context, h blob.Hash) (blob.Handle, error)
	Put(ctx context.Context, v blob.Verified, kind blob.Kind) error
	Delete(ctx context.Context, h blob.Hash) error
	Flush(ctx context.Context) error
	OnChange(fn func(blob.Hash)) (missed bool)
	List(ctx context.Context, from blob.Hash, fn func(h blob.Hash, size int64, kind blob.Kind) error) error
	Look(ctx context.Context, h blob.Hash) (size int64, kind blob.Kind, found bool, err error)
	ChargeBeside(bytes func() int64)
	WaitRecovered(ctx context.Context) error
	Pinned() int
	Stats() engine.Stats
	Close() error
}

// Store is one mount.
type Store struct {
	backend
	name string
	root string
	mode Mode
	sync engine.Sync
}

// Open opens the mount, making it in an empty or missing folder, and takes its lock; ctx bounds Open alone.
//
// Errors, each with what to do about it: ErrOptions, ErrLayout, mount.ErrNotAMount, mount.ErrNewerVersion or
// index.ErrNewerFormat, mount.ErrDamaged, a wrapped *diskfs.LockedError, and the system's (syscall.EROFS,
// syscall.ENOSPC, …). What is there is unharmed by all of them.
func Open(ctx context.Context, o Options) (*Store, error) {
	if err := o.Check(); err != nil {
		return nil, fmt.Errorf("disk: open %s: %w", o.MountPoint, err)
	}
	if o.FS == nil {
		o.FS = diskfs.OS()
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	sync, _ := engine.ParseSync(o.Sync) // Check has seen to the error
	s := &Store{name: stores.KindName("disk", o.Name), root: o.MountPoint, sync: sync}
	o.Logger = o.Logger.With("store", s.name)
	mode, prefix, err := choose(o)
	if err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	s.mode = mode
	if mode == ModeSharded {
		s.backend, err = openFiles(o, prefix)
	} else {
		s.backend, err = openSegments(ctx, o)
	}
	if err != nil {
		return nil, fmt.Errorf("disk: open %s: %w", o.MountPoint, err)
	}
	return s, nil
}

// engine is the settings of mode segments.
func (o Options) engine() engine.Options {
	sync, _ := engine.ParseSync(o.Sync) // Check has seen to the error
	return engine.Options{
		FS: o.FS, Dir: o.MountPoint,
		MaxSize: o.MaxSize, MinFree: o.MinFree, SegmentSize: o.SegmentSize, IndexCache: o.IndexCache,
		Sync: sync, Eviction: o.Eviction, KeepAll: o.KeepAll, ScrubPeriod: o.ScrubPeriod, Logger: o.Logger,
	}
}

// openSegments opens mode segments.
func openSegments(ctx context.Context, o Options) (backend, error) {
	e, err := engine.Open(ctx, o.engine())
	if err != nil {
		return nil, err // not the nil *Engine, which would make a backend that is not nil
	}
	return e, nil
}

// Name is "disk-<name>".
func (s *Store) Name() string { return s.name }

// Volatile implements stores.Volatile.
func (s *Store) Volatile() string {
	if s.sync == engine.SyncAlways {
		return ""
	}
	return fmt.Sprintf("%s has sync: %s, which answers before the disk has the blob; sync: always does not", s.name, s.sync)
}

// Mode is ModeSegments or ModeSharded.
func (s *Store) Mode() Mode { return s.mode }

// Dir is the folder of the mount, as it was given to Open.
func (s *Store) Dir() string { return s.root }

// Segments is what does the work in ModeSegments, for who looks after a mount; nil in the other mode. It is closed with
// the store.
func (s *Store) Segments() *engine.Engine {
	e, _ := s.backend.(*engine.Engine)
	return e
}

// Folder implements stores.Host: within the hidden folder of the mount.
func (s *Store) Folder(name string) string { return Beside(s.root, name) }

// Beside is Store.Folder of a store that is not open, of the mount point root.
func Beside(root, name string) string { return filepath.Join(root, hiddenDir, name) }

// Get pins a blob, and adds its hop.
func (s *Store) Get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	tr := blob.TraceOf(ctx)
	if tr == nil {
		return s.backend.Get(ctx, h)
	}
	began := time.Now()
	handle, err := s.backend.Get(ctx, h)
	tr.Add(blob.Hop{Origin: s.name, Elapsed: time.Since(began)})
	return handle, err
}

var (
	_ stores.Store   = (*Store)(nil)
	_ stores.Pinner  = (*Store)(nil)
	_ stores.Watched = (*Store)(nil)
	_ stores.Lister  = (*Store)(nil)
	_ stores.Host    = (*Store)(nil)
)

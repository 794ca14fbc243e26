package index

import (
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// FormatVersion is the format of Pebble's files, pinned: an index is written in it and in no other, whatever version of
// Pebble is linked. It is the one that gave tables a checksum over their footers; its logs say how far they were synced,
// so that a torn end is told from damage. Raising it is a change of the format on disk.
const FormatVersion = uint64(pebble.FormatTableFormatV6)

const (
	defaultCacheBytes    = 64 << 20
	defaultMemTableBytes = 2 << 20

	maxOpenFiles = 256

	filterBits = 10 // a key
)

// Options are what Open needs. FS and Dir must be set.
type Options struct {
	FS  vfs.FS // file system; pebblefs.New makes one of a diskfs.FS
	Dir string // folder of the index; made when it is missing, unless ReadOnly

	// ReadOnly: nothing is written but LOCK. Logs are replayed into memory, and stay; so does what other openings remove. Every
	// change fails. Open gives ErrNone when there is no index.
	ReadOnly bool

	CacheBytes    int64 // RAM for blocks of tables and for rows that are in no table yet; 0 is 64 MiB
	MemTableBytes int64 // of that, for rows that are in no table yet, at most twice; 0 is 2 MiB

	Logger *slog.Logger // nil: nothing is logged

	// OnFailure is called once, from a goroutine of its own, when the index latches a failure after Open. It must not
	// call Close, which waits for it. The same can be had from Failed and Err.
	OnFailure func(error)
}

func (o Options) withDefaults() Options {
	if o.CacheBytes <= 0 {
		o.CacheBytes = defaultCacheBytes
	}
	if o.MemTableBytes <= 0 {
		o.MemTableBytes = defaultMemTableBytes
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// pebbleOptions is how Pebble is set up. Each line that departs from Pebble's own choice says why.
func (x *Index) pebbleOptions(o Options) *pebble.Options {
	p := &pebble.Options{
		FS:                 x.guard,
		Lock:               x.lock,
		Cache:              x.cache,
		FormatMajorVersion: pebble.FormatMajorVersion(FormatVersion),
		Logger:             &pebbleLogger{log: o.Logger, guard: x.guard},
		EventListener:      x.listener(o.Logger),
		MaxOpenFiles:       maxOpenFiles,
		ReadOnly:           o.ReadOnly,

		// The mount's cap counts what lies on disk: small memtables, and so small logs, and small manifests.
		MemTableSize:               uint64(o.MemTableBytes),
		MaxManifestFileSize:        1 << 20,
		L0CompactionThreshold:      4,
		L0StopWritesThreshold:      16,
		CompactionConcurrencyRange: func() (int, int) { return 1, 1 },

		// Collecting the statistics of a table that cannot be read is repeated without a pause. They serve to find
		// deletions worth compacting early, which saved 5 bytes a blob here.
		DisableTableStats: true,
	}
	p.Experimental.CompactionScheduler = newCompactions(x.guard.Failed())
	p.Experimental.FileCacheShards = 2         // each is a goroutine
	p.Experimental.ReadSamplingMultiplier = -1 // reading must not cause writing

	// A lookup of a missing blob asks the filters of all levels but the last, which Pebble reads for iterators only: it
	// goes without. Hashes do not compress; order rows do in the lower levels, by a quarter.
	p.Levels[0].FilterPolicy = bloom.FilterPolicy(filterBits)
	p.Levels[len(p.Levels)-1].FilterPolicy = pebble.NoFilterPolicy
	p.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionBalanced })
	return p
}

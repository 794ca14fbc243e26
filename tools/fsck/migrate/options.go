package migrate

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/sharded"
)

// Layout is how blobs lie in the destination.
type Layout string

// The layouts.
const (
	Segments Layout = "segments"
	Sharded  Layout = "sharded" // one file a blob
)

// NoCap is the MaxSize of a destination that only its file system bounds.
const NoCap = -1

// Options says what to move, and how. From, To and MaxSize are required. Sizes are in bytes.
type Options struct {
	From, To     string
	Layout       Layout // of To; empty: Segments
	ShardingSize int    // Layout Sharded: length of the folders' names
	MaxSize      int64  // cap of To, as its configuration will say, or NoCap
	SegmentSize  int64  // Layout Segments: payload of a segment; 0: what the configuration's default would be

	Move    bool   // free the source behind itself
	Workers int    // blobs that are read at once; 0: fullLanes, and at least one a processor
	MaxRate int64  // bytes that are read a second; 0: no bound
	Temp    string // folder for what is sorted; empty: beside To

	// OnBad, if set, is told of every bad blob as it is found, from any goroutine, one at a time.
	OnBad func(Bad)

	FS     diskfs.FS    // default: the operating system's
	Logger *slog.Logger // default: slog.Default()
}

var (
	// ErrOptions: options that cannot be.
	ErrOptions = errors.New("bad option")
	// ErrPlaces: From and To lie in, or hold, what they must not. Nothing was changed.
	ErrPlaces = errors.New("nothing was changed")
	// ErrRoom: the destination has no room for what the source holds. What was moved so far is whole.
	ErrRoom = errors.New("the destination has no room")
)

// fullLanes is how many blobs are hashed side by side where the processor can. It also keeps a disk busy while others hash.
const fullLanes = 8

// withDefaults fills in what is not set and checks the rest, without a look at the disk.
func (o Options) withDefaults() (Options, error) {
	if o.Layout == "" {
		o.Layout = Segments
	}
	if o.Workers == 0 {
		o.Workers = max(fullLanes, runtime.GOMAXPROCS(0))
	}
	if o.FS == nil {
		o.FS = diskfs.OS()
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	var why string
	switch {
	case o.From == "":
		why = "the folder to take blobs from is missing"
	case o.To == "":
		why = "the folder to put blobs in is missing"
	case o.Layout != Segments && o.Layout != Sharded:
		why = fmt.Sprintf("there is no layout %q: use segments or sharded", o.Layout)
	case o.ShardingSize < 0 || o.ShardingSize > sharded.MaxPrefix:
		why = fmt.Sprintf("a sharding size of %d: use 0 to %d", o.ShardingSize, sharded.MaxPrefix)
	case o.Layout == Segments && o.ShardingSize > 0:
		why = "a sharding size is for one file a blob, and the destination is to have segments"
	case o.Layout == Sharded && o.SegmentSize > 0:
		why = "a segment size is for segments, and the destination is to have one file a blob"
	case o.MaxSize == 0:
		why = "the cap of the destination is missing: say the max_size that its configuration will have, or none"
	case o.MaxSize < NoCap:
		why = "a negative max_size"
	case o.SegmentSize < 0 || o.SegmentSize > 0 && o.SegmentSize < blob.MaxSize:
		why = fmt.Sprintf("a segment of %d bytes does not hold a blob of %d", o.SegmentSize, blob.MaxSize)
	case o.Workers < 0:
		why = "less than one worker"
	case o.MaxRate < 0:
		why = "a negative rate"
	}
	if why != "" {
		return o, fmt.Errorf("migrate: %w: %s", ErrOptions, why)
	}
	return o, nil
}

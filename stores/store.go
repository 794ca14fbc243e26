package stores

import (
	"context"

	"github.com/OdyseeTeam/prism/blob"
)

// Store keeps blobs, or knows where they are. All methods are safe for concurrent use. Every call with a context
// returns soon after the context ends, with the context's error wrapped. After Close every call is
// blob.ErrUnavailable, except Close, which may be called again and then does nothing.
//
// Each store that answers a Get appends one blob.Hop to the context's trace once it returns, on errors too.
type Store interface {
	// Name is "<kind>-<name>", or the kind alone for kinds that need no name. It labels traces and metrics.
	Name() string

	// Has says whether Get would find the blob now. It fetches no bytes and changes no order of eviction.
	Has(ctx context.Context, h blob.Hash) (bool, error)

	// Get pins a blob. A missing one is blob.ErrNotFound and nothing else is; a store that cannot tell answers
	// another error. The bytes of the handle match h. The caller releases the handle. The pin outlives ctx.
	Get(ctx context.Context, h blob.Hash) (blob.Handle, error)

	// Put stores a blob, and returns once what the store promises is true (bytes on disk as its sync policy says, an
	// origin's receipt). Putting what is there is no error and changes nothing but its order of eviction. A store
	// keeps no reference to v's bytes after Put. kind is blob.KindSD for the descriptor of a stream. Errors:
	// blob.ErrFull when there is no room.
	Put(ctx context.Context, v blob.Verified, kind blob.Kind) error

	// Delete removes a blob; it is gone when Delete returns, across restarts too. A missing one is no error. Handles
	// that are out stay good until their release.
	Delete(ctx context.Context, h blob.Hash) error

	// Close stops what the store runs and releases what it holds, and the stores under it. Handles that are out stay
	// good until their release, but for those whose blob is still on its way from an origin: Close ends the transfer,
	// and their next read fails.
	Close() error
}

// Opener is what origins have: the bytes as they arrive. A caching store prefers it to Get.
type Opener interface {
	// Open starts a transfer. A missing blob is blob.ErrNotFound. ctx bounds the whole transfer, not only Open. The
	// caller closes the stream.
	Open(ctx context.Context, h blob.Hash) (*blob.Stream, error)
}

// Wanter is what stores have that may refuse a blob before it is sent.
type Wanter interface {
	// Wants says whether an uploader should send the blob: false when it is here, or blocked. blocked tells the two
	// apart.
	Wants(ctx context.Context, h blob.Hash) (wanted, blocked bool, err error)
}

// StreamKnower is what stores with a catalogue of streams have.
type StreamKnower interface {
	// MissingForStream gives the blobs of a stream that are not stored, in the order of the stream. known is false when
	// the catalogue has no stream for that SD blob; then the SD blob itself has to be read.
	MissingForStream(ctx context.Context, sd blob.Hash) (missing []blob.Hash, known bool, err error)
}

// Blocker is what stores have that can refuse blobs for good.
type Blocker interface {
	// Block has Wants refuse blobs from now on, durably. It deletes nothing. After an error some of them may be refused, and
	// the call may be made again.
	Block(ctx context.Context, hashes []blob.Hash) error
}

// Watched is what stores have from which blobs go, or to which they come, without a call of their user.
type Watched interface {
	// OnChange has fn called with the name of every blob that comes or goes, for whatever reason (a Put and a Delete
	// too, before they return; evictions; what is found to be bad), once Look says so. fn must be quick, and call nothing
	// of the store. There is one listener, which stays until Close. missed says that blobs came or went since the store was
	// opened, before there was a listener.
	OnChange(fn func(blob.Hash)) (missed bool)
}

// Lister is what stores have that know their blobs without reading them.
type Lister interface {
	// List calls fn for each blob in the order of the hashes, from the first one that is not below from. Blobs that come
	// or go meanwhile may be seen or not; all others are. An error of fn ends it, and is returned as it is.
	List(ctx context.Context, from blob.Hash, fn func(h blob.Hash, size int64, kind blob.Kind) error) error
	// Look is what List would say of one blob. It reads none, so a Get may still find that the blob is bad.
	Look(ctx context.Context, h blob.Hash) (size int64, kind blob.Kind, found bool, err error)
}

// Host is what stores have that give a place to what their user keeps on disk.
type Host interface {
	// Folder is the path of a folder of that name beside the blobs, which the store leaves alone. It need not be there.
	Folder(name string) string
	// ChargeBeside counts what bytes says, which is asked about once a second, against the store's bounds.
	ChargeBeside(bytes func() int64)
}

// Pinner is what stores with pinned handles have, so that tests and metrics see leaks.
type Pinner interface {
	// Pinned is the number of handles that were not released yet.
	Pinned() int
}

// Volatile is what stores have from which a power cut may take what a Put has promised.
type Volatile interface {
	// Volatile says why, in words for the log, or is empty when nothing can be lost.
	Volatile() string
}

// Unwrapper is a store with one child that answers the optional interfaces which the store does not have itself.
type Unwrapper interface {
	Unwrap() Store
}

// VolatileOf is why a power cut may take what a Put into s has promised, or empty.
func VolatileOf(s Store) string {
	if v, ok := As[Volatile](s); ok {
		return v.Volatile()
	}
	return ""
}

// As finds the outermost store from s inwards that has the optional interface T.
func As[T any](s Store) (T, bool) {
	for s != nil {
		if t, ok := s.(T); ok {
			return t, true
		}
		u, ok := s.(Unwrapper)
		if !ok {
			break
		}
		s = u.Unwrap()
	}
	var none T
	return none, false
}

// Package metadata is the catalogue: which blobs and streams are stored, when they were last asked for, and what is
// blocked. The bytes are elsewhere; the catalogue says what should be there.
//
// This package holds the questions and what their answers mean. metadata/mysql asks a MySQL or MariaDB with the schema
// that existing deployments have, metadata/bolt keeps the same in one file; metadata/metadatatest asks both the same
// questions.
//
// Others may write to the same catalogue at any time, so no answer holds for longer than the call that gave it.
package metadata

import (
	"context"
	"errors"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/protocol/stream"
)

// Errors that callers branch on. Each is wrapped in an error that tells a person what to do.
var (
	// ErrUnavailable: the catalogue could not be reached, did not answer in time, or broke off. What a write has done
	// is unknown; it may be made again, since every write here is idempotent.
	ErrUnavailable = errors.New("the catalogue is unavailable")
	// ErrSchema: a table or a column is missing.
	ErrSchema = errors.New("the catalogue lacks tables or columns")
	// ErrDenied: the catalogue refuses the credentials, or their rights do not suffice.
	ErrDenied = errors.New("the catalogue refuses access")
	// ErrReadOnly: the catalogue takes no writes now.
	ErrReadOnly = errors.New("the catalogue is read-only")
	// ErrOptions: settings that cannot be.
	ErrOptions = errors.New("metadata: bad settings")
)

// Tracking is what an access to a blob is noted on. Its numbers are those of the configuration's access_tracking.
type Tracking int

// The levels of tracking.
const (
	TrackNone    Tracking = 0 // nothing; the columns with times need not exist
	TrackStreams Tracking = 1 // the blob's stream, for its SD blob too; never the blob itself
	TrackBlobs   Tracking = 2 // the blob
)

// TouchInterval is the least age of a noted time that an access replaces.
const TouchInterval = 6 * time.Hour

// Blob is a blob that was stored.
type Blob struct {
	Hash   blob.Hash
	Length int       // bytes, 1 to blob.MaxSize
	At     time.Time // of the access to note for it, by the level of tracking; zero is now
}

// Access is one access to a blob. Times are noted in whole seconds.
type Access struct {
	Hash blob.Hash
	At   time.Time // zero is now
}

// Status is what the catalogue knows of a blob. The zero value is a blob it knows nothing of.
type Status struct {
	Stored  bool
	Blocked bool
}

// Row is one blob that the catalogue knows, stored or not.
type Row struct {
	Hash     blob.Hash
	Stored   bool
	Length   int       // bytes as noted, which may be wrong, or 0 where none is noted that a blob can have: never account by it
	Accessed time.Time // at TrackBlobs; zero at other levels, and where no time is noted
}

// Links is what the catalogue has of the stream of an SD blob.
type Links struct {
	Known bool        // there is a stream
	Taken bool        // there is none, and PutStream would note none: the stream_hash is another's, or not Notable
	Blobs []blob.Hash // that the stream names, in its order
}

// Catalogue is the questions asked of a catalogue. All methods are safe for concurrent use, take any number of hashes,
// and work them off in batches. Every write is idempotent, and is committed when it returns without an error; a batch
// is one transaction, so an error may leave earlier batches written. A call returns soon after its context ends, with
// the error of the context, and with ErrUnavailable too when that was a deadline. After Close every call is
// ErrUnavailable, except Close.
type Catalogue interface {
	// Stored says for each hash, in the order of the hashes, whether the blob is stored. It notes no access.
	Stored(ctx context.Context, hashes []blob.Hash) ([]bool, error)

	// Status is Stored and Blocked of one blob in one question.
	Status(ctx context.Context, h blob.Hash) (Status, error)

	// PutBlobs notes that blobs are stored. A blob that is noted already keeps its length, or its lack of one, and
	// counts as accessed. A length that no blob has is refused, with nothing written.
	PutBlobs(ctx context.Context, blobs []Blob) error

	// PutStream notes an SD blob as stored, its stream, its content blobs, those that are not noted yet as not stored, and
	// the links between them, in one transaction. Content blobs that are stored stay so. A stream belongs to the SD blob
	// that was noted for its stream_hash first: of another one with the same, and of one with a stream_hash that
	// cannot be noted (see Notable), the blobs are noted and no stream. All that is noted already counts as accessed.
	PutStream(ctx context.Context, sd Blob, desc stream.SD) error

	// Missing gives the content blobs of a stream that are not stored, in the order of the stream. known is false when
	// the catalogue has no stream for that SD blob. Rows may lack links, so nothing missing does not prove that the
	// stream is whole: who needs the proof counts against the SD blob.
	Missing(ctx context.Context, sd blob.Hash) (missing []blob.Hash, known bool, err error)

	// SetStream is PutStream, and forgets what else the stream was noted to name, in the same transaction.
	SetStream(ctx context.Context, sd Blob, desc stream.SD) error

	// Links gives what is noted of the stream of an SD blob that has this stream_hash.
	Links(ctx context.Context, sd blob.Hash, streamHash string) (Links, error)

	// HaveStreams says for each hash, in the order of the hashes, whether a stream is noted whose SD blob it is.
	HaveStreams(ctx context.Context, sds []blob.Hash) ([]bool, error)

	// Touch notes accesses in their order, where the noted time is missing or older than TouchInterval before the
	// access. Blobs that the catalogue does not know are passed over. At TrackNone it does nothing.
	Touch(ctx context.Context, accesses []Access) error

	// Delete notes that blobs are not stored any more. Under soft deletes their rows, streams and links stay; otherwise
	// they go, the streams of a batch first, but for a content blob that a stream still names, which is noted as not
	// stored. Unknown blobs are passed over.
	Delete(ctx context.Context, hashes []blob.Hash) error

	// Block notes hashes as blocked, durably; it writes nothing of those that are. It deletes nothing.
	Block(ctx context.Context, hashes []blob.Hash) error

	// Blocked calls fn for each blocked hash as Walk does for rows.
	Blocked(ctx context.Context, from blob.Hash, fn func(blob.Hash) error) error

	// SetLengths corrects the lengths of blobs that are noted, stored or not, and leaves all else of them. Blobs that the
	// catalogue does not know are passed over. A length that no blob has is refused, with nothing written.
	SetLengths(ctx context.Context, blobs []Blob) error

	// Count is the number of stored blobs under soft deletes, and of all known ones otherwise.
	Count(ctx context.Context) (int64, error)

	// Walk calls fn for each known blob in the order of the hashes, from the first one that is not below from. An error
	// of fn ends the walk and is returned as it is. Rows that are written meanwhile may or may not be seen; all others
	// are. Rows whose hash is none are passed over. fn may use the catalogue.
	Walk(ctx context.Context, from blob.Hash, fn func(Row) error) error

	// Close ends connections and waits for calls under way.
	Close() error
}

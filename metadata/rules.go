package metadata

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/protocol/stream"
)

// BatchSize is the number of hashes in one batch, where the catalogue does not demand less.
const BatchSize = 10_000

// What follows is said once for all catalogues, so that they answer the same.

// Check is ErrOptions for a level that is none.
func (t Tracking) Check() error {
	if t < TrackNone || t > TrackBlobs {
		return fmt.Errorf("%w: access_tracking is %d; 0 notes nothing, 1 streams, 2 blobs", ErrOptions, t)
	}
	return nil
}

// Check is an error for a length that no blob has: blob.ErrEmpty or blob.ErrTooBig.
func (b Blob) Check() error {
	switch {
	case b.Length < 1:
		return fmt.Errorf("metadata: note blob %s of %d bytes: %w", b.Hash.Short(), b.Length, blob.ErrEmpty)
	case b.Length > blob.MaxSize:
		return fmt.Errorf("metadata: note blob %s of %d bytes: %w", b.Hash.Short(), b.Length, blob.ErrTooBig)
	}
	return nil
}

// CheckAll checks blobs that are to be noted together: of one that is wrong, none is noted.
func CheckAll(blobs []Blob) error {
	for _, b := range blobs {
		if err := b.Check(); err != nil {
			return err
		}
	}
	return nil
}

// Notable says whether a stream_hash can be noted: 1 to 96 visible ASCII characters. An SD blob may hold any text.
func Notable(streamHash string) bool {
	for i := range len(streamHash) {
		if c := streamHash[i]; c <= ' ' || c > '~' {
			return false
		}
	}
	return streamHash != "" && len(streamHash) <= blob.HexSize
}

// LengthOf is the length that an SD blob gives for the content blob i, or 0.
func LengthOf(desc stream.SD, i int) int {
	if i >= len(desc.Lengths) || desc.Lengths[i] < 1 || desc.Lengths[i] > blob.MaxSize {
		return 0
	}
	return desc.Lengths[i]
}

// Noted is the time that is noted for an access at t, where zero is now: in UTC, in whole seconds, and within what all
// catalogues can hold.
func Noted(t time.Time) time.Time {
	if t.IsZero() {
		t = time.Now()
	}
	const day = 24 * 60 * 60
	const first, last = day, 1<<31 - 1 - day // a day of room for the zone of a database
	return time.Unix(min(max(t.Unix(), first), last), 0).UTC()
}

// Replaces says whether an access at one noted time replaces another, which is zero where none is noted.
func Replaces(accessed, noted time.Time) bool {
	return noted.IsZero() || noted.Before(accessed.Add(-TouchInterval))
}

// ContextError is nil, or the error of a call whose context has ended.
func ContextError(ctx context.Context) error {
	err := ctx.Err()
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: no answer in time: %w", ErrUnavailable, err)
	}
	return err
}

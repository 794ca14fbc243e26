package index

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/segments"
)

// allChunk is how many blob rows are read at once.
const allChunk = 1024

// All calls fn for every blob row, in the order of their hashes, and stops at the first error. It is no snapshot: what
// is committed meanwhile may be seen or not. A blob that has a row all the while is seen once.
func (x *Index) All(fn func(blob.Hash, Entry) error) error { return x.AllFrom(blob.Hash{}, fn) }

// AllFrom is All of the hashes that are not below the first one.
func (x *Index) AllFrom(first blob.Hash, fn func(blob.Hash, Entry) error) error {
	type row struct {
		hash  blob.Hash
		entry Entry
	}
	rows := make([]row, 0, allChunk)
	from := appendBlobKey(nil, &first)
	for {
		rows = rows[:0]
		err := x.scan(from, []byte{tagBlob + 1}, func(k, v []byte) (string, bool) {
			if len(k) != blobKeySize {
				return "not the key of a blob row", false
			}
			e, why := decodeEntry(v)
			rows = append(rows, row{blob.Hash(k[1:]), e})
			return why, len(rows) < allChunk
		})
		if err != nil {
			return err
		}
		for i := range rows {
			if err := fn(rows[i].hash, rows[i].entry); err != nil {
				return err
			}
		}
		if len(rows) < allChunk {
			return nil
		}
		from = append(appendBlobKey(from[:0], &rows[allChunk-1].hash), 0) // the first key after it
	}
}

// Segments gives all segment rows, by ascending ID.
func (x *Index) Segments() ([]SegmentRow, error) {
	var rows []SegmentRow
	err := x.scan([]byte{tagSegment}, []byte{tagSegment + 1}, func(k, v []byte) (string, bool) {
		r, why := decodeSegment(k, v)
		rows = append(rows, r)
		return why, true
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// Tombstones gives the slots of a segment that have a tombstone.
func (x *Index) Tombstones(seg segments.ID) (map[uint32]struct{}, error) {
	var slots map[uint32]struct{}
	from := appendTombstoneKey(nil, seg, 0)
	to := appendTombstoneKey(nil, seg+1, 0)
	err := x.scan(from, to, func(k, v []byte) (string, bool) {
		_, slot, why := decodeTombstone(k, v)
		if slots == nil {
			slots = make(map[uint32]struct{})
		}
		slots[slot] = struct{}{}
		return why, true
	})
	if err != nil {
		return nil, err
	}
	return slots, nil
}

// Meta gives the meta row, and whether there is one.
func (x *Index) Meta() (Meta, bool, error) {
	if !x.reads.enter() {
		return Meta{}, false, ErrClosed
	}
	defer x.reads.leave()
	return x.readMeta()
}

func (x *Index) readMeta() (Meta, bool, error) {
	v, closer, err := x.db.Get(metaKey())
	if errors.Is(err, pebble.ErrNotFound) {
		return Meta{}, false, nil
	}
	if err != nil {
		return Meta{}, false, readError("read meta", err)
	}
	m, newer, why := decodeMeta(v)
	err = closer.Close()
	switch {
	case newer:
		err = fmt.Errorf("index: read meta: %w", ErrNewerFormat)
	case why != "":
		err = readError("read meta", &RowError{Key: metaKey(), Reason: why})
	case err != nil:
		err = readError("read meta", err)
	}
	if err != nil {
		return Meta{}, false, err
	}
	return m, true, nil
}

// scan calls fn for the rows with keys in [from, to), until it says to stop, or that a row is bad, and why.
func (x *Index) scan(from, to []byte, fn func(k, v []byte) (bad string, more bool)) error {
	if !x.reads.enter() {
		return ErrClosed
	}
	defer x.reads.leave()
	return scan(x.db, from, to, fn)
}

// scan is Index.scan of whatever has rows, inside the gate.
func scan(db pebble.Reader, from, to []byte, fn func(k, v []byte) (bad string, more bool)) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return readError("scan", err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		bad, more := fn(it.Key(), it.Value())
		if bad != "" {
			err = &RowError{Key: append([]byte(nil), it.Key()...), Reason: bad}
		}
		if bad != "" || !more {
			break
		}
	}
	if err = errors.Join(err, it.Close()); err != nil { // Close returns what the iteration ran into
		return readError("scan", err)
	}
	return nil
}

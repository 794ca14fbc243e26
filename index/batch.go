package index

import (
	"errors"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/segments"
)

// Batch is a number of changes that become visible, and durable, together. It is not safe for concurrent use. What it is
// given is copied. It keeps to what it is told: that an old row goes before a new one comes is its user's business.
type Batch struct {
	x   *Index
	b   *pebble.Batch // nil after Commit
	key [maxRow]byte
	val [maxRow]byte
	err error // the first thing that no row can hold

	meta *Meta // set by it
}

// NewBatch makes an empty batch.
func (x *Index) NewBatch() *Batch { return &Batch{x: x, b: x.db.NewBatch()} }

// Put writes the rows of a blob: where it is, and its place in the order. A blob that has other rows is deleted first
// (in the same batch, if need be), or its old place in the order stays.
func (b *Batch) Put(h blob.Hash, e Entry) {
	if why := e.check(); why != "" {
		b.keep(fmt.Errorf("blob %s: %w: %s", h.Short(), ErrInvalid, why))
		return
	}
	b.set(appendBlobKey(b.key[:0], &h), appendEntry(b.val[:0], &e))
	b.set(appendOrderKey(b.key[:0], e.Seq), appendOrder(b.val[:0], &h, &e))
}

// Delete removes the rows of a blob; e is its present entry.
func (b *Batch) Delete(h blob.Hash, e Entry) {
	b.delete(appendBlobKey(b.key[:0], &h))
	b.delete(appendOrderKey(b.key[:0], e.Seq))
}

// Restamp moves a blob to another place in the order; e is its present entry. The new one is the same but for Seq.
func (b *Batch) Restamp(h blob.Hash, e Entry, seq uint64) {
	b.delete(appendOrderKey(b.key[:0], e.Seq))
	e.Seq = seq
	b.Put(h, e)
}

// SetSegment writes the row of a segment.
func (b *Batch) SetSegment(r SegmentRow) {
	if why := r.check(); why != "" {
		b.keep(fmt.Errorf("segment %d: %w: %s", r.ID, ErrInvalid, why))
		return
	}
	b.set(appendSegmentKey(b.key[:0], r.ID), appendSegment(b.val[:0], &r))
}

// DeleteSegment removes the row of a segment, and all its tombstones that are committed.
func (b *Batch) DeleteSegment(id segments.ID) {
	b.delete(appendSegmentKey(b.key[:0], id))
	b.clearTombstones(id, math.MaxUint32, true)
}

// SetMeta writes the meta row.
func (b *Batch) SetMeta(m Meta) {
	b.set(metaKey(), appendMeta(b.val[:0], &m))
	b.meta = &m
}

// Tombstone notes that a record above its segment's watermark was deleted: recovery, which finds its slot valid, must
// not bring it back.
func (b *Batch) Tombstone(seg segments.ID, slot uint32) {
	b.set(appendTombstoneKey(b.key[:0], seg, slot), nil)
}

// ClearTombstones removes the tombstones of a segment with slots below the given one, of those that are committed by
// now. One that is committed later stays until the next call: that costs its bytes and nothing else.
func (b *Batch) ClearTombstones(seg segments.ID, below uint32) { b.clearTombstones(seg, below, false) }

// clearTombstones deletes them one by one. There are few, mostly none; a range deletion would burden every read.
func (b *Batch) clearTombstones(seg segments.ID, below uint32, last bool) {
	slots, err := b.x.Tombstones(seg)
	if err != nil {
		b.keep(err)
		return
	}
	for slot := range slots {
		if slot < below || last {
			b.delete(appendTombstoneKey(b.key[:0], seg, slot))
		}
	}
}

// Len is the number of rows that are written or deleted.
func (b *Batch) Len() int { return int(b.b.Count()) }

// Commit applies the batch; it cannot be used afterwards. With sync it, and all that was committed before, is durable
// when Commit returns. Without, it can be read at once and is lost by a crash of the machine or of this process until a
// later sync: Pebble keeps up to 32 KiB of its log in memory.
//
// Errors: ErrInvalid, ErrClosed, ErrFailed. Once the index fails a Commit that is under way may never return: run it on a
// goroutine that can be left behind, and wait for Failed beside it. Whether its changes became durable is then unknown.
func (b *Batch) Commit(sync bool) error {
	batch := b.b
	b.b = nil
	if b.err != nil {
		return errors.Join(fmt.Errorf("index: commit: %w", b.err), batch.Close())
	}
	if !b.x.writes.enter() {
		return ErrClosed
	}
	defer b.x.writes.leave()
	if err := b.x.Err(); err != nil {
		return fmt.Errorf("index: commit: %w", err)
	}
	switch {
	case !batch.Empty():
		how := pebble.NoSync
		if sync {
			how = pebble.Sync
		}
		if err := batch.Commit(how); err != nil {
			return fmt.Errorf("index: commit: %w", err)
		}
	case sync:
		if err := b.x.sync(); err != nil {
			return err
		}
	}
	if b.meta != nil {
		b.x.tidy.Store(b.meta.Clean)
	}
	return batch.Close()
}

func (b *Batch) set(key, val []byte) { b.keep(b.b.Set(key, val, nil)) }

func (b *Batch) delete(key []byte) { b.keep(b.b.Delete(key, nil)) }

// keep keeps the first error, for Commit to return.
func (b *Batch) keep(err error) {
	if b.err == nil {
		b.err = err
	}
}

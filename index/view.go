package index

import (
	"encoding/binary"
	"errors"
	"io"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
)

// View is the index as it was at one moment, whatever is committed since. While it is open Pebble keeps on disk what it
// would have given back, so it is to be closed soon. Close of the index ends it. It is not safe for concurrent use.
type View struct {
	x    *Index
	snap *pebble.Snapshot // nil: it is closed; under x.viewing
}

// View makes one of this moment.
func (x *Index) View() (*View, error) {
	if !x.reads.enter() {
		return nil, ErrClosed
	}
	defer x.reads.leave()
	if err := x.Err(); err != nil {
		return nil, err
	}
	x.viewing.Lock()
	defer x.viewing.Unlock()
	v := &View{x: x, snap: x.db.NewSnapshot()}
	x.views[v] = struct{}{}
	return v, nil
}

// Close ends the view. Close again does nothing.
func (v *View) Close() error {
	v.x.viewing.Lock()
	defer v.x.viewing.Unlock()
	return v.closeLocked()
}

// closeLocked leaves the snapshot of a failed index to what was left to Pebble.
func (v *View) closeLocked() error {
	snap := v.snap
	v.snap = nil
	delete(v.x.views, v)
	if snap == nil || v.x.Err() != nil {
		return nil
	}
	return snap.Close()
}

// closeViews closes those that are open, once no reader is inside.
func (x *Index) closeViews() {
	if x.Err() != nil { // there may be readers, and Pebble is not closed
		return
	}
	x.viewing.Lock()
	defer x.viewing.Unlock()
	for v := range x.views {
		_ = v.closeLocked() // it gives back memory, and writes nothing
	}
}

// What follows the last row of a dump, behind a key of length 0.
const (
	dumpEnded   = 0 // the number of rows
	dumpFailed  = 1 // what went wrong
	dumpDamaged = 2 // what is damaged
)

const (
	dumpMagic  = "prism rows 1\n"
	dumpChunk  = 64 << 10 // bytes of rows that are read at once
	maxMessage = 4096
)

// dumped is the tags of the rows of a dump, in their order there.
const dumped = string(tagMeta) + string(tagSegment) + string(tagBlob) + string(tagOrder)

// WriteTo writes all rows but tombstones, for a Dump to read: "prism rows 1\n", then for each row the lengths of key and
// value, a byte each, and both. First comes the meta row, then those of segments, of blobs, and of the order. The
// end is two bytes of 0 and the number of rows, 8 bytes, little-endian; a fault of the index is a byte of 0, one that
// says whether something is damaged, and a message with its length before it, 2 bytes. While w does not take what is
// written, nothing waits but what Pebble would give back.
func (v *View) WriteTo(w io.Writer) (int64, error) {
	out := counted{w: w}
	buf := append(make([]byte, 0, dumpChunk+2+2*maxRow), dumpMagic...)
	var rows uint64
	for _, tag := range []byte(dumped) {
		from, to := []byte{tag}, []byte{tag + 1}
		for from != nil {
			var fault error
			var n int
			buf, n, from, fault = v.chunk(buf, from, to)
			rows += uint64(n)
			if fault != nil {
				_, err := out.Write(appendFault(buf, fault))
				return out.n, errors.Join(fault, err)
			}
			if _, err := out.Write(buf); err != nil {
				return out.n, err
			}
			buf = buf[:0]
		}
	}
	_, err := out.Write(binary.LittleEndian.AppendUint64(append(buf, 0, dumpEnded), rows))
	return out.n, err
}

// chunk appends rows with keys in [from, to), and gives the key to go on from, nil at the end.
func (v *View) chunk(buf, from, to []byte) (_ []byte, rows int, next []byte, err error) {
	if !v.x.reads.enter() {
		return buf, 0, nil, ErrClosed
	}
	defer v.x.reads.leave()
	if v.snap == nil { // it is not taken away while a reader is inside
		return buf, 0, nil, ErrClosed
	}
	err = scan(v.snap, from, to, func(k, val []byte) (string, bool) {
		if len(k) > maxRow || len(val) > maxRow {
			return "longer than any row", false
		}
		buf = append(append(append(buf, byte(len(k)), byte(len(val))), k...), val...)
		rows++
		if len(buf) < dumpChunk {
			return "", true
		}
		next = append(append(next, k...), 0) // the first key after it
		return "", false
	})
	return buf, rows, next, err
}

// appendFault ends a dump that cannot be whole.
func appendFault(buf []byte, fault error) []byte {
	kind := byte(dumpFailed)
	if errors.Is(fault, ErrCorrupt) || errors.Is(fault, syscall.EIO) {
		kind = dumpDamaged
	}
	text := fault.Error()
	text = text[:min(len(text), maxMessage)]
	buf = binary.LittleEndian.AppendUint16(append(buf, 0, kind), uint16(len(text)))
	return append(buf, text...)
}

// counted counts what is written.
type counted struct {
	w io.Writer
	n int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

var _ io.WriterTo = (*View)(nil)

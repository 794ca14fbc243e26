package crashfs

import (
	"io"
	"syscall"
)

// BlockSize is the unit that is written, allocated and lost, and SectorSize the unit that is never torn, in bytes.
const (
	BlockSize  = 4096
	SectorSize = 512
)

// page is the content of a block. No page changes once it is in a block table: a write makes a new one. So a clone
// shares the pages of its original.
type page [BlockSize]byte

// unwritten marks, by its address, a block that is reserved and holds nothing. A nil page is a block that is not
// reserved either. Both read as zeros and are holes.
var unwritten = new(page)

func isData(p *page) bool { return p != nil && p != unwritten }

// content is the bytes of a file: as callers see them, and what a power cut may leave of them.
type content struct {
	size   int64
	blocks []*page // up to the last one that is reserved; what lies beyond, up to size, is a hole
	alloc  int64   // blocks that are reserved

	diskSize int64              // size at the last Sync
	changes  []change           // of size and allocation since then, oldest first
	dirty    map[int64]*history // blocks that changed since then
	seq      uint64             // of the latest write or change
	settled  uint64             // changes up to this one are durable
	lost     uint64             // a failed Sync forgot the writes up to this one
}

// change is one journaled operation on the file: a truncation, preallocation, punch, or a write beyond the end.
type change struct {
	seq  uint64
	size int64 // of the file after it
}

// history is what happened to a block since its file was last synced.
type history struct {
	base   *page // what is durable
	events []event
	first  [1]event // room for the usual case
}

// event is a new version of a block. With journaled set it came with a change, and is kept if and only if that is.
type event struct {
	seq       uint64
	page      *page
	journaled bool
}

// maxVersions bounds the unsynced versions that a block remembers.
const maxVersions = 16

func (c *content) block(i int64) *page {
	if i < int64(len(c.blocks)) {
		return c.blocks[i]
	}
	return nil
}

// put sets a block and keeps count of what is reserved.
func (c *content) put(i int64, p *page) {
	if i >= int64(len(c.blocks)) {
		if p == nil {
			return
		}
		c.blocks = append(c.blocks, make([]*page, i+1-int64(len(c.blocks)))...)
	}
	if c.blocks[i] != nil {
		c.alloc--
	}
	if p != nil {
		c.alloc++
	}
	c.blocks[i] = p
}

// record notes a new version of a block, and makes it the one that is seen.
func (c *content) record(i int64, e event) {
	h := c.dirty[i]
	if h == nil {
		if c.dirty == nil {
			c.dirty = map[int64]*history{}
		}
		h = &history{base: c.block(i)}
		h.events = h.first[:0]
		c.dirty[i] = h
	}
	if len(h.events) >= maxVersions && !h.events[1].journaled {
		h.events = append(h.events[:1], h.events[2:]...)
	}
	h.events = append(h.events, e)
	c.put(i, e.page)
}

// change notes a journaled operation, under the current seq.
func (c *content) change(size int64) {
	c.size = size
	c.changes = append(c.changes, change{seq: c.seq, size: size})
}

// blocksFor is the number of blocks that n bytes reach into.
func blocksFor(n int64) int64 { return (n + BlockSize - 1) / BlockSize }

// readAt copies what is there, with the counts and errors of io.ReaderAt.
func (c *content) readAt(p []byte, off int64) (int, error) {
	if off >= c.size {
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), c.size-off))
	for done := 0; done < n; {
		at := off + int64(done)
		within := int(at % BlockSize)
		part := p[done:min(n, done+BlockSize-within)]
		if b := c.block(at / BlockSize); b != nil {
			copy(part, b[within:])
		} else {
			clear(part)
		}
		done += len(part)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// readDurable is readAt of what a power cut is sure to leave; off is at a block.
func (c *content) readDurable(p []byte, off int64) (int, error) {
	if off >= c.diskSize {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), c.diskSize-off))
	for done := 0; done < n; done += BlockSize {
		i := (off + int64(done)) / BlockSize
		b := c.block(i)
		if h := c.dirty[i]; h != nil {
			b = h.base
		}
		part := p[done:min(n, done+BlockSize)]
		clear(part)
		if b != nil {
			copy(part, b[:])
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// writeAt writes while room lasts, counted in blocks, and returns how many bytes it wrote.
func (c *content) writeAt(p []byte, off, room int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.seq++
	own := append([]byte(nil), p...) // whole blocks are taken from this copy as they are
	done := 0
	for done < len(p) {
		at := off + int64(done)
		i, within := at/BlockSize, int(at%BlockSize)
		old := c.block(i)
		if old == nil {
			if room == 0 {
				break
			}
			room--
		}
		part := own[done:min(len(own), done+BlockSize-within)]
		var fresh *page
		if len(part) == BlockSize {
			fresh = (*page)(part)
		} else {
			fresh = new(page)
			if old != nil {
				*fresh = *old
			}
			copy(fresh[within:], part)
		}
		c.record(i, event{seq: c.seq, page: fresh})
		done += len(part)
	}
	if end := off + int64(done); done > 0 && end > c.size {
		c.seq++
		c.change(end)
	}
	if done < len(p) {
		return done, syscall.ENOSPC
	}
	return done, nil
}

func (c *content) truncate(size int64) {
	if size == c.size {
		return
	}
	c.seq++
	if size < c.size {
		c.zero(size, blocksFor(c.size)*BlockSize)
		c.blocks = c.blocks[:min(int64(len(c.blocks)), blocksFor(size))]
	}
	c.change(size)
}

func (c *content) preallocate(off, n int64) {
	c.seq++
	for i := off / BlockSize; i < blocksFor(off+n); i++ {
		if c.block(i) == nil {
			c.record(i, event{seq: c.seq, page: unwritten, journaled: true})
		}
	}
	c.change(max(c.size, off+n))
}

// missing is the number of blocks that preallocate would have to reserve.
func (c *content) missing(off, n int64) int64 {
	var m int64
	for i := off / BlockSize; i < blocksFor(off+n); i++ {
		if c.block(i) == nil {
			m++
		}
	}
	return m
}

// punch leaves the length. A hole that reaches the end takes the whole last block, as in ext4.
func (c *content) punch(off, n int64) {
	end := off + n
	if end >= c.size {
		end = blocksFor(c.size) * BlockSize
	}
	if off >= end {
		return
	}
	c.seq++
	c.zero(off, end)
	c.change(c.size)
}

// zero frees the blocks within [off, end) and writes zeros into those that are cut by its ends.
func (c *content) zero(off, end int64) {
	for i := off / BlockSize; i < min(blocksFor(end), int64(len(c.blocks))); i++ {
		from, to := max(off-i*BlockSize, 0), min(end-i*BlockSize, BlockSize)
		old := c.blocks[i]
		switch {
		case old == nil:
		case from == 0 && to == BlockSize:
			c.record(i, event{seq: c.seq, page: nil, journaled: true})
		case isData(old):
			fresh := *old
			clear(fresh[from:to])
			c.record(i, event{seq: c.seq, page: &fresh, journaled: true})
		}
	}
}

func (c *content) seekData(off int64) (int64, error) {
	if off < 0 || off >= c.size {
		return 0, io.EOF
	}
	for i := off / BlockSize; i < int64(len(c.blocks)); i++ {
		if isData(c.blocks[i]) {
			return max(off, i*BlockSize), nil
		}
	}
	return 0, io.EOF
}

func (c *content) seekHole(off int64) (int64, error) {
	if off < 0 || off >= c.size {
		return 0, io.EOF
	}
	i := off / BlockSize
	for isData(c.block(i)) {
		i++
	}
	return min(max(off, i*BlockSize), c.size), nil
}

// sync makes everything durable, except blocks that a failed sync forgot and that were not written again.
func (c *content) sync() {
	kept := map[int64]*history(nil)
	if c.lost > 0 {
		kept = map[int64]*history{}
		for i, h := range c.dirty {
			if h.events[len(h.events)-1].seq <= c.lost {
				kept[i] = h
			}
		}
	}
	c.dirty, c.changes = kept, nil
	c.diskSize, c.settled = c.size, c.seq
}

// failSync forgets what is dirty.
func (c *content) failSync() { c.lost = c.seq }

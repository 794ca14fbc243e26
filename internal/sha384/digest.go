package sha384

import (
	"crypto/sha512"
	"encoding"
	"encoding/binary"
	"hash"
)

// The sizes of the hash, in bytes.
const (
	Size      = sha512.Size384
	BlockSize = sha512.BlockSize
)

// Digest is the hash of one stream. It is not safe for concurrent use.
type Digest struct {
	lanes *Lanes
	alone library // holds the state when there are no lanes

	// With lanes:
	state  [8]uint64 // after the first length bytes
	length uint64    // whole blocks
	saved  [savedSize]byte
	rest   []byte    // what Blocks was given and is not hashed yet
	turn   chan bool // ends the wait of Blocks: true to run a pass, false once rest is empty
}

// library is what crypto/sha512 makes.
type library interface {
	hash.Cloner
	encoding.BinaryAppender
	encoding.BinaryUnmarshaler
}

// New begins a stream that shares the lanes with others. nil: it is hashed by itself.
func New(l *Lanes) *Digest {
	d := &Digest{lanes: l, alone: sha512.New384().(library)}
	if l != nil {
		d.turn = make(chan bool, 1)
		d.save()
	}
	return d
}

// Blocks hashes whole blocks. It does not keep p, which others may read until it returns.
func (d *Digest) Blocks(p []byte) {
	switch {
	case len(p)%BlockSize != 0:
		panic("sha384: not whole blocks")
	case len(p) == 0:
	case d.lanes == nil:
		d.alone.Write(p)
	default:
		d.rest = p
		d.lanes.hash(d)
		d.rest = nil
	}
}

// Sum is the SHA-384 of all blocks so far and the bytes of tail, which do not become part of the stream.
func (d *Digest) Sum(tail []byte) [Size]byte {
	if d.lanes != nil {
		d.load()
	}
	end, err := d.alone.Clone()
	if err != nil {
		panic("sha384: crypto/sha512 cannot be cloned: " + err.Error()) // it always can
	}
	end.Write(tail)
	return [Size]byte(end.Sum(nil))
}

// How crypto/sha512 saves its state: a mark, the eight words, the bytes of a block that is not whole, and the length.
// Package hash promises that later versions read it. New versions may write another form, which NewLanes notices.
const (
	savedMark  = "sha\x04"
	savedWords = len(savedMark)
	savedBlock = savedWords + 8*8
	savedLen   = savedBlock + BlockSize
	savedSize  = savedLen + 8
)

// load gives the state to the library.
func (d *Digest) load() {
	b := d.saved[:]
	copy(b, savedMark)
	for i, w := range d.state {
		binary.BigEndian.PutUint64(b[savedWords+8*i:], w)
	}
	clear(b[savedBlock:savedLen])
	binary.BigEndian.PutUint64(b[savedLen:], d.length)
	if err := d.alone.UnmarshalBinary(b); err != nil {
		panic("sha384: crypto/sha512 refuses its own form: " + err.Error()) // NewLanes has tried
	}
}

// save takes the state from the library.
func (d *Digest) save() {
	b, err := d.alone.AppendBinary(d.saved[:0])
	if err != nil || len(b) != savedSize {
		panic("sha384: crypto/sha512 saves another form") // NewLanes has tried
	}
	for i := range d.state {
		d.state[i] = binary.BigEndian.Uint64(b[savedWords+8*i:])
	}
	d.length = binary.BigEndian.Uint64(b[savedLen:])
}

// stepAlone hashes the next n bytes by the library.
func (d *Digest) stepAlone(n int) {
	d.load()
	d.alone.Write(d.rest[:n])
	d.save()
	d.rest = d.rest[n:]
}

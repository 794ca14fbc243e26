package blob

import (
	"crypto/sha512"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
)

// Kind tells an SD blob, which describes a stream and gates all of it, from the content blobs.
type Kind uint8

// The kinds. Their numbers are on disk.
const (
	KindContent Kind = 0
	KindSD      Kind = 1
)

// String is the kind's name in logs.
func (k Kind) String() string {
	if k == KindSD {
		return "sd"
	}
	return "content"
}

// Verified is bytes that were compared with their name. Only Verify, Hasher and Stream make one, so a store that is
// given one never hashes again. The zero Verified is not valid; stores refuse it (Size is 0).
//
// The bytes still belong to whoever made it: a store copies or finishes with them before its Put returns, and nobody
// changes them.
type Verified struct {
	hash Hash
	data []byte
	crc  uint32
}

// Hash is the name.
func (v Verified) Hash() Hash { return v.hash }

// Bytes is the payload, 1 to MaxSize bytes. Read only.
func (v Verified) Bytes() []byte { return v.data }

// CRC32C is the Castagnoli CRC of the payload. It was computed beside the hash, while the bytes were in the processor's
// cache, where it costs next to nothing; a store that wants it later would fetch 2 MiB from memory again.
func (v Verified) CRC32C() uint32 { return v.crc }

// Size is the number of bytes.
func (v Verified) Size() int64 { return int64(len(v.data)) }

// Verify compares data with its name. Errors: ErrEmpty, ErrTooBig, ErrCorrupt.
func Verify(name Hash, data []byte) (Verified, error) {
	if len(data) > MaxSize {
		return Verified{}, ErrTooBig
	}
	h := NewHasher(data[:0:len(data)])
	for p := data; len(p) > 0; {
		n := min(len(p), verifyChunk)
		if err := h.advance(p[:n]); err != nil {
			return Verified{}, err
		}
		h.buf, p = data[:len(h.buf)+n], p[n:]
	}
	return h.Verified(name)
}

// verifyChunk keeps what is hashed in the processor's cache until its CRC was computed too.
const verifyChunk = 128 << 10

// Hasher takes the bytes of one blob as they arrive and hashes them on the way, into a buffer that its caller owns.
// It is not safe for concurrent use.
type Hasher struct {
	buf []byte
	sum hash.Hash
	crc uint32
}

// castagnoli is the polynomial of CRC32C, which processors compute.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// NewHasher collects into buf[len(buf):cap(buf)]; normally buf is empty with room for the blob. What buf holds already is
// not part of the blob. The caller must leave buf alone until it no longer needs the Verified that comes out.
func NewHasher(buf []byte) *Hasher { return &Hasher{buf: buf[len(buf):], sum: sha512.New384()} }

// Len is the number of bytes so far.
func (h *Hasher) Len() int { return len(h.buf) }

// ReadOnce reads from r once, at most max bytes, straight into the buffer, and hashes what came. It returns what
// r.Read returned, or ErrTooBig when there is no room left.
func (h *Hasher) ReadOnce(r io.Reader, limit int) (int, error) {
	room := h.buf[len(h.buf):cap(h.buf)]
	if len(room) == 0 {
		return 0, ErrTooBig
	}
	n, err := r.Read(room[:min(len(room), limit)])
	if n > 0 {
		if e := h.advance(room[:n]); e != nil {
			return n, e
		}
		h.buf = h.buf[:len(h.buf)+n]
	}
	return n, err
}

// Write appends a copy of p. Errors: ErrTooBig, with nothing taken, when the buffer has no room for p.
func (h *Hasher) Write(p []byte) (int, error) {
	if len(p) > cap(h.buf)-len(h.buf) {
		return 0, ErrTooBig
	}
	if err := h.advance(p); err != nil {
		return 0, err
	}
	h.buf = append(h.buf, p...)
	return len(p), nil
}

// advance hashes bytes that are about to count.
func (h *Hasher) advance(p []byte) error {
	if len(h.buf)+len(p) > MaxSize {
		return ErrTooBig
	}
	h.sum.Write(p)
	h.crc = crc32.Update(h.crc, castagnoli, p)
	return nil
}

// Verified compares what came with its name. Errors: ErrEmpty, ErrCorrupt.
func (h *Hasher) Verified(name Hash) (Verified, error) {
	if len(h.buf) == 0 {
		return Verified{}, ErrEmpty
	}
	if got := h.Sum(); got != name {
		return Verified{}, fmt.Errorf("%w: %d bytes named %s hash to %s", ErrCorrupt, len(h.buf), name, got)
	}
	return Verified{hash: name, data: h.buf, crc: h.crc}, nil
}

// Sum is the name of what came so far.
func (h *Hasher) Sum() Hash {
	var out Hash
	h.sum.Sum(out[:0])
	return out
}

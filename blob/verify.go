package blob

import (
	"fmt"
	"hash/crc32"
	"io"

	"github.com/OdyseeTeam/prism/internal/sha384"
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

// Verified is bytes that were compared with their name. Only Verify, Hasher and Stream make one, by themselves or on Lanes, so a store that is
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
func Verify(name Hash, data []byte) (Verified, error) { return (*Lanes)(nil).Verify(name, data) }

// verifyChunk keeps what is hashed in the processor's cache until its CRC was computed too.
const verifyChunk = 128 << 10

// Hasher takes the bytes of one blob as they arrive and hashes them on the way, into a buffer that its caller owns.
// It is not safe for concurrent use.
type Hasher struct {
	buf    []byte
	sum    *sha384.Digest
	hashed int // bytes of buf that sum has: whole blocks
	crc    uint32
}

// castagnoli is the polynomial of CRC32C, which processors compute.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// NewHasher collects into buf[len(buf):cap(buf)]; normally buf is empty with room for the blob. What buf holds already is
// not part of the blob. The caller must leave buf alone until it no longer needs the Verified that comes out.
func NewHasher(buf []byte) *Hasher { return (*Lanes)(nil).NewHasher(buf) }

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
	}
	return n, err
}

// Write appends a copy of p. Errors: ErrTooBig, with nothing taken, when the buffer has no room for p.
func (h *Hasher) Write(p []byte) (int, error) {
	room := h.buf[len(h.buf):cap(h.buf)]
	if len(p) > len(room) {
		return 0, ErrTooBig
	}
	if err := h.advance(room[:copy(room, p)]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// advance takes in p, which stands in the buffer behind what came before. The CRC is computed at once, while the bytes
// are in this processor's cache; they are hashed by whole blocks, once there are enough to be worth it.
func (h *Hasher) advance(p []byte) error {
	if len(h.buf)+len(p) > MaxSize {
		return ErrTooBig
	}
	h.buf = h.buf[:len(h.buf)+len(p)]
	h.crc = crc32.Update(h.crc, castagnoli, p)
	if len(h.buf)-h.hashed >= hashChunk {
		h.catchUp()
	}
	return nil
}

// hashChunk is how many bytes are hashed together: enough that the streams that share the lanes seldom wait for each
// other, and few enough that they are still in a cache, and that what is left at the end takes no time to speak of.
const hashChunk = 128 << 10

// catchUp hashes all whole blocks.
func (h *Hasher) catchUp() {
	to := len(h.buf) &^ (sha384.BlockSize - 1)
	h.sum.Blocks(h.buf[h.hashed:to])
	h.hashed = to
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
	h.catchUp()
	return h.sum.Sum(h.buf[h.hashed:])
}

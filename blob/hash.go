package blob

import (
	"crypto/sha512"
	"encoding/hex"
	"fmt"
)

// MaxSize is the largest blob, in bytes. The smallest has one byte.
const MaxSize = 2 << 20

// HashSize is the length of a Hash in bytes; on the wire a hash is HexSize characters.
const (
	HashSize = sha512.Size384
	HexSize  = 2 * HashSize
)

// Hash is the name of a blob: the SHA-384 of its bytes.
type Hash [HashSize]byte

// ParseHash reads the wire form of a hash: exactly HexSize characters of 0-9a-f. Upper case is refused, because a
// blob must have one name only. Every edge calls it before anything else happens. The error is ErrInvalidHash and does
// not echo s, which comes from strangers.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != HexSize {
		return Hash{}, fmt.Errorf("%w: %d characters, want %d", ErrInvalidHash, len(s), HexSize)
	}
	for i := range h {
		hi, lo := nibble(s[2*i]), nibble(s[2*i+1])
		if hi > 0xf || lo > 0xf {
			return Hash{}, fmt.Errorf("%w: want only 0-9 and a-f", ErrInvalidHash)
		}
		h[i] = hi<<4 | lo
	}
	return h, nil
}

// nibble is the value of one lower-case hex digit, or 0xff.
func nibble(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

// Sum is the name of data.
func Sum(data []byte) Hash { return sha512.Sum384(data) }

// String is the wire form.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText is String, for JSON.
func (h Hash) MarshalText() ([]byte, error) { return h.AppendHex(nil), nil }

// Short is the first 12 characters of the wire form, for logs.
func (h Hash) Short() string { return hex.EncodeToString(h[:6]) }

// AppendHex appends the wire form to dst.
func (h Hash) AppendHex(dst []byte) []byte { return hex.AppendEncode(dst, h[:]) }

package crashtest_test

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/protocol/stream"
)

// blobs are numbered, and the bytes of each follow from the seed: 10 GiB of them need no place.
type blobs struct {
	seed uint64
	full float64 // share of blobs of the largest size; the others are of all sizes
}

// edges are sizes at which something else begins: blocks, small payloads, the largest blob.
var edges = []int{1, 2, 4095, 4096, 4097, 65535, 65536, 65537, blob.MaxSize - 1}

// bytes is blob number i, in buf's memory where that suffices.
func (b blobs) bytes(i int, buf []byte) []byte {
	rng := rand.New(rand.NewPCG(b.seed, uint64(i)))
	if rng.Float64() < b.full {
		return b.random(i, blob.MaxSize, buf)
	}
	switch rng.IntN(8) {
	case 0:
		return b.descriptor(i, rng.IntN(300), buf)
	case 1:
		return b.random(i, edges[rng.IntN(len(edges))], buf)
	case 2, 3:
		return b.random(i, 1+rng.IntN(blob.MaxSize), buf)
	default:
		return b.random(i, int(math.Exp(rng.Float64()*math.Log(blob.MaxSize))), buf)
	}
}

// random is n bytes of a key stream: as good as random, and cheaper than hashing them.
func (b blobs) random(i, n int, buf []byte) []byte {
	buf = slices.Grow(buf[:0], n)[:n]
	var key, iv [aes.BlockSize]byte
	binary.LittleEndian.PutUint64(key[:], b.seed)
	binary.LittleEndian.PutUint64(iv[:], uint64(i))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // cannot be: the key has one of the lengths of AES
	}
	clear(buf)
	cipher.NewCTR(block, iv[:]).XORKeyStream(buf, buf)
	return buf
}

// descriptor is an SD blob that names n blobs.
func (b blobs) descriptor(i, n int, buf []byte) []byte {
	raw := b.random(i, (n+1)*blob.HashSize, nil)
	buf = append(buf[:0], `{"stream_type":"lbryfile","stream_hash":"`...)
	buf = hex.AppendEncode(buf, raw[:blob.HashSize])
	buf = append(buf, `","blobs":[`...)
	for range n {
		raw = raw[blob.HashSize:]
		buf = append(buf, `{"length":2097152,"blob_hash":"`...)
		buf = hex.AppendEncode(buf, raw[:blob.HashSize])
		buf = append(buf, `"},`...)
	}
	return append(buf, `{"length":0}]}`...)
}

// TestBlobs: the blobs are those of their number, of all sizes and both kinds.
func TestBlobs(t *testing.T) {
	b := blobs{seed: seed(t), full: 0.1}
	var full, small, sd int
	buf := make([]byte, blob.MaxSize)
	for i := range 120 {
		data := b.bytes(i, nil)
		if blob.Sum(data) != blob.Sum(b.bytes(i, buf)) {
			t.Fatalf("blob %d is not always the same", i)
		}
		switch n := len(data); {
		case n < 1 || n > blob.MaxSize:
			t.Fatalf("blob %d has %d bytes", i, n)
		case stream.Sniff(data) == blob.KindSD:
			sd++
		case n == blob.MaxSize:
			full++
		case n <= 4096:
			small++
		}
	}
	if full == 0 || small == 0 || sd == 0 {
		t.Errorf("%d full blobs, %d of at most one block, %d SD blobs: want some of each", full, small, sd)
	}
}

package enginetest

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/OdyseeTeam/prism/blob"
)

// Blob is blob number i of a run: its bytes follow from the two numbers, so an image need not hold them.
func Blob(run uint64, i int) blob.Verified {
	r := rand.New(rand.NewPCG(run, uint64(i)))
	n := 1 + r.IntN(12<<10)
	switch r.IntN(10) {
	case 0:
		n = 4096 * (1 + r.IntN(4))
	case 1:
		n = 100<<10 + r.IntN(300<<10)
	}
	return BlobOf(run, i, n)
}

// BlobOf is blob number i of a run, with n bytes.
func BlobOf(run uint64, i, n int) blob.Verified {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], run)
	binary.LittleEndian.PutUint64(seed[8:], uint64(i))
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(seed).Read(b)
	h := blob.NewHasher(make([]byte, 0, n))
	_, err := h.Write(b)
	if err != nil {
		panic(err) // cannot be: there is room for n bytes
	}
	v, err := h.Verified(h.Sum())
	if err != nil {
		panic(err) // cannot be: that is its name
	}
	return v
}

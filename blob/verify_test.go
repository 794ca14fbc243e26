package blob_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
)

// random is n bytes that differ from seed to seed.
func random(seed uint64, n int) []byte {
	var key [32]byte
	key[0], key[1], key[2] = byte(seed), byte(seed>>8), 1
	out := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(out) // never fails
	return out
}

func TestVerify(t *testing.T) {
	data := random(1, 5000)
	v, err := blob.Verify(blob.Sum(data), data)
	if err != nil || v.Hash() != blob.Sum(data) || v.Size() != 5000 || &v.Bytes()[0] != &data[0] {
		t.Fatalf("Verify gives %s, %d bytes, %v", v.Hash(), v.Size(), err)
	}
	for _, c := range []struct {
		name string
		data []byte
		want error
	}{
		{"no bytes", nil, blob.ErrEmpty},
		{"too many", make([]byte, blob.MaxSize+1), blob.ErrTooBig},
		{"one missing", data[:4999], blob.ErrCorrupt},
		{"one more", append(bytes.Clone(data), 0), blob.ErrCorrupt},
	} {
		if v, err := blob.Verify(blob.Sum(data), c.data); !errors.Is(err, c.want) || v.Size() != 0 {
			t.Errorf("%s: %d bytes, %v; want %v", c.name, v.Size(), err, c.want)
		}
	}
	for i := range data {
		data[i] ^= 1
		if _, err := blob.Verify(v.Hash(), data); !errors.Is(err, blob.ErrCorrupt) {
			t.Fatalf("a changed bit in byte %d: %v, want ErrCorrupt", i, err)
		}
		data[i] ^= 1
		if i > 64 {
			break
		}
	}
	largest := make([]byte, blob.MaxSize)
	if _, err := blob.Verify(blob.Sum(largest), largest); err != nil {
		t.Errorf("the largest blob: %v", err)
	}
}

// However the bytes are cut into writes and reads, the Hasher comes to what Verify says.
func TestHasherAgreesWithVerify(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		data := random(seed, 1+r.IntN(100_000))
		h := blob.NewHasher(make([]byte, 0, len(data)))
		for src := bytes.NewReader(data); src.Len() > 0; {
			n := 1 + r.IntN(20_000)
			if r.IntN(2) == 0 {
				piece := make([]byte, min(n, src.Len()))
				if _, err := io.ReadFull(src, piece); err != nil {
					t.Fatal(err)
				}
				if got, err := h.Write(piece); got != len(piece) || err != nil {
					t.Fatalf("seed %d: Write gives %d, %v", seed, got, err)
				}
			} else if _, err := h.ReadOnce(src, n); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		v, err := h.Verified(blob.Sum(data))
		if err != nil || !bytes.Equal(v.Bytes(), data) || h.Len() != len(data) || h.Sum() != v.Hash() {
			t.Fatalf("seed %d: %d of %d bytes, %v", seed, v.Size(), len(data), err)
		}
		if _, err := h.Verified(blob.Sum(data[1:])); !errors.Is(err, blob.ErrCorrupt) {
			t.Fatalf("seed %d: another name: %v, want ErrCorrupt", seed, err)
		}
	}
}

// Only hashed bytes come out as verified: what the buffer held before is none of the blob's.
func TestHasherLeavesOutWhatWasInTheBuffer(t *testing.T) {
	buf := append(make([]byte, 0, 64), "header"...)
	h := blob.NewHasher(buf)
	if _, err := io.WriteString(h, "abc"); err != nil {
		t.Fatal(err)
	}
	v, err := h.Verified(blob.Sum([]byte("abc")))
	if err != nil || string(v.Bytes()) != "abc" {
		t.Fatalf("verified %q, %v", v.Bytes(), err)
	}
	if got := string(buf[:9]); got != "headerabc" {
		t.Errorf("the buffer holds %q", got)
	}
}

func TestHasherWithoutRoom(t *testing.T) {
	h := blob.NewHasher(make([]byte, 0, 4))
	if n, err := h.Write([]byte("12345")); n != 0 || !errors.Is(err, blob.ErrTooBig) || h.Len() != 0 {
		t.Errorf("Write beyond the room: %d, %v, holds %d", n, err, h.Len())
	}
	if _, err := h.Verified(blob.Sum(nil)); !errors.Is(err, blob.ErrEmpty) {
		t.Errorf("nothing verified: %v, want ErrEmpty", err)
	}
	if _, err := h.Write([]byte("1234")); err != nil {
		t.Fatal(err)
	}
	if n, err := h.ReadOnce(bytes.NewReader([]byte("5")), 9); n != 0 || !errors.Is(err, blob.ErrTooBig) {
		t.Errorf("ReadOnce without room: %d, %v", n, err)
	}
	if _, err := h.Verified(blob.Sum([]byte("1234"))); err != nil {
		t.Errorf("what fitted: %v", err)
	}

	big := blob.NewHasher(make([]byte, 0, blob.MaxSize+1))
	if _, err := big.Write(make([]byte, blob.MaxSize)); err != nil {
		t.Fatal(err)
	}
	if _, err := big.Write([]byte{1}); !errors.Is(err, blob.ErrTooBig) {
		t.Errorf("more than the largest blob: %v, want ErrTooBig", err)
	}
	if _, err := big.ReadOnce(bytes.NewReader([]byte{1}), 1); !errors.Is(err, blob.ErrTooBig) {
		t.Errorf("reading more than the largest blob: %v, want ErrTooBig", err)
	}
}

func TestZeroVerifiedAndKinds(t *testing.T) {
	if v := (blob.Verified{}); v.Size() != 0 || v.Bytes() != nil {
		t.Errorf("the zero Verified has %d bytes", v.Size())
	}
	if blob.KindContent != 0 || blob.KindSD != 1 || blob.KindSD.String() != "sd" || blob.KindContent.String() != "content" {
		t.Error("the kinds on disk have changed")
	}
}

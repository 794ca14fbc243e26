package blob_test

import (
	"bytes"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/leaktest"
)

// TestLanes proves blobs of many streams at once by every way, with right names and with wrong ones.
func TestLanes(t *testing.T) {
	leaktest.Check(t)
	for name, lanes := range map[string]*blob.Lanes{"shared": blob.NewLanes(), "none": nil} {
		t.Run(name, func(t *testing.T) {
			var streams sync.WaitGroup
			for i := range 24 {
				streams.Go(func() {
					r := rand.New(rand.NewPCG(uint64(i), 1))
					for range 6 {
						data := random(r.Uint64(), 1+r.IntN(700_000))
						proveEveryWay(t, lanes, r, data)
					}
				})
			}
			streams.Wait()
		})
	}
}

// proveEveryWay wants a blob proven by its name and refused by another, however its bytes come.
func proveEveryWay(t *testing.T, lanes *blob.Lanes, r *rand.Rand, data []byte) {
	right := blob.Sum(data)
	wrong := bytes.Clone(data)
	wrong[r.IntN(len(wrong))] ^= 1 << r.IntN(8)
	ways := map[string]func(data []byte) (blob.Verified, error){
		"Verify": func(data []byte) (blob.Verified, error) { return lanes.Verify(right, data) },
		"Hasher": func(data []byte) (blob.Verified, error) {
			h := lanes.NewHasher(make([]byte, 0, len(data)))
			for p := data; len(p) > 0; {
				n, err := h.Write(p[:min(len(p), 1+r.IntN(200_000))])
				if err != nil {
					return blob.Verified{}, err
				}
				p = p[n:]
				if got := h.Sum(); r.IntN(3) == 0 && got != blob.Sum(data[:h.Len()]) {
					t.Errorf("%s after %d bytes", got, h.Len())
				}
			}
			return h.Verified(right)
		},
		"Collect": func(data []byte) (blob.Verified, error) {
			s, err := blob.NewStream(right, int64(len(data)), &body{Reader: iotest.HalfReader(bytes.NewReader(data))})
			if err != nil {
				return blob.Verified{}, err
			}
			defer s.Close()
			return lanes.Collect(s, make([]byte, 0, len(data)), nil)
		},
	}
	for way, prove := range ways {
		v, err := prove(data)
		if err != nil || v.Hash() != right || !bytes.Equal(v.Bytes(), data) || v.CRC32C() != crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)) {
			t.Errorf("%s of %d bytes: %s, %v", way, len(data), v.Hash(), err)
		}
		if v, err := prove(wrong); !errors.Is(err, blob.ErrCorrupt) || v.Size() != 0 {
			t.Errorf("%s of %d bytes with one bit changed: %d bytes, %v; want ErrCorrupt", way, len(data), v.Size(), err)
		}
	}
}

// TestLanesOfABrokenStream has streams end midway among others that go on.
func TestLanesOfABrokenStream(t *testing.T) {
	leaktest.Check(t)
	lanes := blob.NewLanes()
	data := random(5, 1<<20)
	var streams sync.WaitGroup
	for i := range 16 {
		streams.Go(func() {
			cut := len(data)
			if i%2 == 1 {
				cut = i * 60_000
			}
			s, err := blob.NewStream(blob.Sum(data), int64(len(data)), &body{Reader: iotest.HalfReader(bytes.NewReader(data[:cut]))})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			v, err := lanes.Collect(s, make([]byte, 0, len(data)), nil)
			if whole := cut == len(data); whole != (err == nil) || whole != (v.Size() > 0) || !whole && !errors.Is(err, blob.ErrCorrupt) {
				t.Errorf("%d of %d bytes: %d proven, %v", cut, len(data), v.Size(), err)
			}
		})
	}
	streams.Wait()
}

// TestLanesWithoutRoom wants what would not fit refused, as without lanes.
func TestLanesWithoutRoom(t *testing.T) {
	lanes := blob.NewLanes()
	s, err := blob.NewStream(blob.Hash{1}, 10, &body{Reader: bytes.NewReader(make([]byte, 10))})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := lanes.Collect(s, make([]byte, 0, 9), nil); err == nil {
		t.Error("a buffer that is too small is taken")
	}
	if _, err := lanes.Verify(blob.Hash{1}, make([]byte, blob.MaxSize+1)); !errors.Is(err, blob.ErrTooBig) {
		t.Errorf("more than the largest blob: %v", err)
	}
}

package segments_test

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/segments"
)

// threeRecords makes segment 1 with records of 3 bytes, 70,000 bytes and n bytes.
func threeRecords(t *testing.T, b bed, n int) (recs []segments.Record, payloads [][]byte) {
	t.Helper()
	s := b.create(t, 1, 1024)
	payloads = [][]byte{content(1, 3), content(2, 70000), content(3, n)}
	for _, p := range payloads {
		recs = append(recs, put(t, s, p))
	}
	s.Seal()
	if err := s.GiveBack(s.Tail()); err != nil {
		t.Fatal(err)
	}
	mustHold(t, b.at(t, 1), recs, payloads)
	return recs, payloads
}

func TestCutAtEveryByteOfTheLastRecord(t *testing.T) {
	eachFS(t, func(t *testing.T, b bed) {
		recs, payloads := threeRecords(t, b, 4500)
		last := recs[2]
		s := b.at(t, 1)
		buf := make([]byte, last.Length)
		for end := last.Offset + int64(last.Length) - 1; end >= last.Offset; end-- {
			b.resize(t, b.path(1), end)
			if has, err := s.HasData(last.Location); has || err != nil {
				t.Fatalf("%d bytes missing: HasData says %v, %v", last.Length, has, err)
			}
			if err := s.ReadPayload(last.Location, buf); !errors.Is(err, blob.ErrCorrupt) {
				t.Fatalf("file cut at %d: read gives %v", end, err)
			}
			if err := s.Verify(last.Location, buf[:1000]); !errors.Is(err, blob.ErrCorrupt) {
				t.Fatalf("file cut at %d: verify gives %v", end, err)
			}
		}
		for i := range recs[:2] {
			if p, err := payload(s, recs[i]); err != nil || !bytes.Equal(p, payloads[i]) {
				t.Errorf("record %d did not survive: %v", i, err)
			}
		}
		b.resize(t, b.path(1), last.Offset+segments.Blocks(last.Length)) // zeros now
		if err := s.ReadPayload(last.Location, buf); !errors.Is(err, blob.ErrCorrupt) {
			t.Errorf("read gives %v", err)
		}
	})
}

func TestRandomBitsOfAPayload(t *testing.T) {
	eachFS(t, func(t *testing.T, b bed) {
		recs, payloads := threeRecords(t, b, 4500)
		s := b.at(t, 1)
		seed := rand.Uint64()
		rng := rand.New(rand.NewPCG(seed, 0))
		for range 300 {
			i := rng.IntN(3)
			at := rng.IntN(len(payloads[i]))
			off := recs[i].Offset + int64(at)
			b.patch(t, b.path(1), off, []byte{payloads[i][at] ^ 1<<rng.IntN(8)})
			if _, err := payload(s, recs[i]); !errors.Is(err, blob.ErrCorrupt) {
				t.Errorf("seed %d: byte %d of record %d: read gives %v", seed, at, i, err)
			}
			if err := s.Verify(recs[i].Location, make([]byte, 1+rng.IntN(80000))); !errors.Is(err, blob.ErrCorrupt) {
				t.Errorf("seed %d: byte %d of record %d: verify gives %v", seed, at, i, err)
			}
			b.patch(t, b.path(1), off, payloads[i][at:at+1])
		}
		for i := range recs {
			if err := s.Verify(recs[i].Location, make([]byte, 777)); err != nil {
				t.Errorf("record %d: %v", i, err)
			}
		}
		// What follows a payload in its last block is nobody's.
		b.patch(t, b.path(1), recs[0].Offset+int64(recs[0].Length), []byte("junk"))
		if _, err := payload(s, recs[0]); err != nil {
			t.Error(err)
		}
	})
}

// TestHolesAreNoRecords: preallocated, punched and missing ranges have no data, and their zeros pass no checksum.
func TestHolesAreNoRecords(t *testing.T) {
	eachFS(t, func(t *testing.T, b bed) {
		s := b.create(t, 1, 1024)
		whole := put(t, s, content(1, 20000))
		zeros := put(t, s, make([]byte, 10000))
		loc, _ := s.Reserve(10000)
		unwritten := segments.Record{Hash: blob.Hash{1}, Location: loc, Seq: 9}
		unwritten.CRC = segments.Checksum(content(2, 10000))
		hasData := func(rec segments.Record, want bool) {
			t.Helper()
			if got, err := s.HasData(rec.Location); got != want || err != nil {
				t.Errorf("HasData of slot %d is %v, %v; want %v", rec.Slot, got, err, want)
			}
		}
		hasData(whole, true)
		hasData(zeros, true)
		hasData(unwritten, false)
		if _, err := payload(s, zeros); err != nil {
			t.Errorf("zeros that were written: %v", err)
		}
		if _, err := payload(s, unwritten); !errors.Is(err, blob.ErrCorrupt) {
			t.Errorf("a preallocated range: %v", err)
		}
		for _, block := range []int64{0, 2, 4} {
			if err := s.Punch(whole.Offset+block*segments.BlockSize, segments.BlockSize); err != nil {
				t.Fatal(err)
			}
			hasData(whole, false)
			if _, err := payload(s, whole); !errors.Is(err, blob.ErrCorrupt) {
				t.Errorf("block %d is punched: %v", block, err)
			}
			b.patch(t, b.path(1), whole.Offset+block*segments.BlockSize, content(1, 20000)[block*4096:min(20000, (block+1)*4096)])
			hasData(whole, true)
		}
		hasData(zeros, true)
		for _, l := range []segments.Location{
			{Segment: 1, Offset: 0, Length: 1}, {Segment: 1, Offset: whole.Offset + 1, Length: 1}, {Segment: 1, Offset: whole.Offset},
			{Segment: 1, Offset: header(1, 1024).End(), Length: 1}, {Segment: 1, Offset: whole.Offset, Length: 1<<32 - 1},
			{Segment: 1, Slot: 1024, Offset: whole.Offset, Length: 1}, {Segment: 1, Offset: -4096, Length: 1},
		} {
			hasData(segments.Record{Location: l}, false)
		}
	})
}

func TestPunchStaysWithinThePayloads(t *testing.T) {
	b := memBed(t)
	s := b.create(t, 1, 16)
	rec := put(t, s, content(1, 5000))
	h := header(1, 16)
	for _, c := range [][2]int64{{0, 4096}, {h.PayloadAt() - 4096, 8192}, {h.End() - 4096, 8192}, {-4096, 4096}, {h.End(), 4096}} {
		if err := s.Punch(c[0], c[1]); err == nil {
			t.Errorf("punched %d+%d", c[0], c[1])
		}
	}
	if _, err := payload(s, rec); err != nil {
		t.Error(err)
	}
}

// TestOtherPeoplesSegments: a segment that was renamed, swapped or brought from elsewhere has no records, and neither
// has something that is no segment.
func TestOtherPeoplesSegments(t *testing.T) {
	eachFS(t, func(t *testing.T, b bed) {
		for id := segments.ID(1); id <= 2; id++ {
			put(t, b.create(t, id, 1024), content(uint64(id), 5000))
		}
		swap := func() {
			t.Helper()
			for _, names := range [][2]string{{b.path(1), "x"}, {b.path(2), b.path(1)}, {"x", b.path(2)}} {
				for i := range names {
					if names[i] == "x" {
						names[i] = b.path(99)
					}
				}
				if err := b.fs.Rename(names[0], names[1]); err != nil {
					t.Fatal(err)
				}
			}
		}
		refused := func(what string, s *segments.Segment, want error) {
			t.Helper()
			defer s.Close()
			_, headerErr := s.Header()
			_, slotErr := s.ReadSlot(0)
			_, scanErr := s.Scan(0, func(r segments.Record) error { t.Errorf("%s: record %+v", what, r); return nil })
			if !s.Pin(0) {
				t.Fatal("cannot pin")
			}
			defer s.Unpin(0)
			_, openErr := s.OpenHandle(segments.Location{Segment: 1, Offset: header(1, 1024).PayloadAt(), Length: 5}, segments.NewBuffers(1), true)
			for _, err := range []error{headerErr, slotErr, scanErr, openErr} {
				if !errors.Is(err, want) {
					t.Errorf("%s: %v, want %v", what, err, want)
				}
			}
		}
		mount := header(1, 1).Mount
		foreign := mount
		foreign[0] ^= 1
		refused("of another mount", segments.At(b.fs, b.path(1), foreign, 1), segments.ErrBadHeader)
		swap()
		refused("swapped", segments.At(b.fs, b.path(1), mount, 1), segments.ErrBadHeader)
		swap()
		if recs, bad := scan(t, b.at(t, 1), 0); len(recs) != 1 || bad != 0 {
			t.Errorf("swapped back: %d records, %d bad", len(recs), bad)
		}
		b.patch(t, b.path(1), 0, headerBytes(header(2, 1024))) // only its header lies
		if recs, bad := scan(t, segments.At(b.fs, b.path(1), mount, 2), 0); len(recs) != 0 || bad != 1 {
			t.Errorf("under another's header: %d records, %d bad", len(recs), bad)
		}
		newer := headerBytes(header(1, 1024))
		newer[8] = 2
		b.patch(t, b.path(1), 0, resealHeader(newer))
		refused("of a newer version", segments.At(b.fs, b.path(1), mount, 1), segments.ErrNewerVersion)
		b.resize(t, b.path(1), 0)
		refused("empty", segments.At(b.fs, b.path(1), mount, 1), segments.ErrBadHeader)
		refused("missing", segments.At(b.fs, b.path(7), mount, 7), fs.ErrNotExist)
	})
}

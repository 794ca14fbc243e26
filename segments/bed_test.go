package segments_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/segments"
)

// bed is a folder to make segments in.
type bed struct {
	fs  diskfs.FS
	dir string
}

func osBed(t testing.TB) bed { return bed{diskfs.OS(), t.TempDir()} }

func memBed(t testing.TB) bed {
	t.Helper()
	b := bed{crashfs.New(), "/segments"}
	if err := b.fs.Mkdir(b.dir); err != nil {
		t.Fatal(err)
	}
	return b
}

// eachFS runs a test on the machine's file system, and on one in memory that has no mappings and no page cache.
func eachFS(t *testing.T, test func(t *testing.T, b bed)) {
	t.Run("os", func(t *testing.T) { test(t, osBed(t)) })
	t.Run("crashfs", func(t *testing.T) { test(t, memBed(t)) })
}

// header is of segment id in the mount of these tests, with room for `blocks` blocks.
func header(id segments.ID, blocks int64) segments.Header {
	return segments.Header{
		Mount:    [16]byte{0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f},
		ID:       id,
		Capacity: blocks * segments.BlockSize,
		Created:  0x6a000000,
	}
}

func (b bed) path(id segments.ID) string { return filepath.Join(b.dir, fmt.Sprintf("%d.seg", id)) }

// create makes a segment that is closed at the end of the test.
func (b bed) create(t testing.TB, id segments.ID, blocks int64) *segments.Segment {
	t.Helper()
	s, err := segments.Create(b.fs, b.path(id), header(id, blocks))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// at opens the segment with that id as another process would find it.
func (b bed) at(t testing.TB, id segments.ID) *segments.Segment {
	t.Helper()
	s := segments.At(b.fs, b.path(id), header(id, 1).Mount, id)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// content is n bytes that compress badly, the same for the same seed.
func content(seed uint64, n int) []byte {
	p := make([]byte, n)
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	if _, err := rand.NewChaCha8(key).Read(p); err != nil {
		panic(err)
	}
	return p
}

// put writes a record whose sequence is its slot's number plus 100.
func put(t testing.TB, s *segments.Segment, payload []byte) segments.Record {
	t.Helper()
	loc, ok := s.Reserve(uint32(len(payload)))
	if !ok {
		t.Fatalf("no room for %d bytes", len(payload))
	}
	loc.CRC = segments.Checksum(payload)
	rec := segments.Record{Hash: blob.Sum(payload), Location: loc, Seq: uint64(loc.Slot) + 100, Time: 0x6a000001}
	if err := s.Write(rec, payload); err != nil {
		t.Fatal(err)
	}
	s.Complete(loc.Slot)
	return rec
}

// patch changes bytes of a file behind the back of whoever has it open.
func (b bed) patch(t testing.TB, path string, off int64, p []byte) {
	t.Helper()
	f, err := b.fs.Open(path, true)
	if err == nil {
		_, err = f.WriteAt(p, off)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// raw reads bytes of a file; what lies beyond its end is zeros.
func (b bed) raw(t testing.TB, path string, off int64, n int) []byte {
	t.Helper()
	p := make([]byte, n)
	f, err := b.fs.Open(path, false)
	if err == nil {
		_, err = f.ReadAt(p, off)
		if err == io.EOF {
			err = nil
		}
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// resize sets a file's length behind the back of whoever has it open.
func (b bed) resize(t testing.TB, path string, n int64) {
	t.Helper()
	f, err := b.fs.Open(path, true)
	if err == nil {
		err = errors.Join(f.Truncate(n), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// scan collects what Scan gives.
func scan(t testing.TB, s *segments.Segment, from uint32) (recs []segments.Record, bad int) {
	t.Helper()
	bad, err := s.Scan(from, func(r segments.Record) error { recs = append(recs, r); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return recs, bad
}

// payload reads a record's payload and compares it with its CRC.
func payload(s *segments.Segment, rec segments.Record) ([]byte, error) {
	p := make([]byte, rec.Length)
	err := s.ReadPayload(rec.Location, p)
	return p, err
}

// mustHold fails unless the segment has exactly these records, with these payloads.
func mustHold(t testing.TB, s *segments.Segment, want []segments.Record, payloads [][]byte) {
	t.Helper()
	got, bad := scan(t, s, 0)
	if bad != 0 || len(got) != len(want) {
		t.Fatalf("%d records and %d bad slots, want %d and 0", len(got), bad, len(want))
	}
	for i, rec := range got {
		if rec != want[i] {
			t.Errorf("record %+v, want %+v", rec, want[i])
		}
		if p, err := payload(s, rec); err != nil || !bytes.Equal(p, payloads[i]) {
			t.Errorf("payload of %d: %v", rec.Slot, err)
		}
	}
}

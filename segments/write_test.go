package segments_test

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/segments"
)

// TestReserveAndComplete compares slots, offsets, prefix and gaps with a model, over random histories.
func TestReserveAndComplete(t *testing.T) {
	b := memBed(t)
	for id := segments.ID(1); id <= 30; id++ {
		seed := rand.Uint64()
		rng := rand.New(rand.NewPCG(seed, 0))
		blocks := 1 + rng.Int64N(2000)
		s := b.create(t, id, blocks)
		tail, end := header(id, blocks).PayloadAt(), header(id, blocks).End()
		var reserved uint32
		var open []uint32 // reserved and not completed
		done := map[uint32]bool{}
		sealed := false
		for range 600 {
			switch k := rng.IntN(100); {
			case k < 50:
				n := 1 + rng.Uint32N(1<<rng.IntN(22))
				need := (int64(n) + 4095) / 4096 * 4096
				fits := !sealed && tail+need <= end
				loc, ok := s.Reserve(n)
				if ok != fits || ok && loc != (segments.Location{Segment: id, Slot: reserved, Offset: tail, Length: n}) {
					t.Fatalf("seed %d: reserved %+v, %v; want %v, slot %d at %d", seed, loc, ok, fits, reserved, tail)
				}
				if ok {
					open = append(open, reserved)
					reserved++
					tail += need
				}
			case k < 99 && len(open) > 0:
				i := rng.IntN(len(open))
				s.Complete(open[i])
				done[open[i]] = true
				open = append(open[:i], open[i+1:]...)
			case k == 99 && rng.IntN(3) == 0:
				s.Seal()
				sealed = true
			}
			prefix := uint32(0)
			for done[prefix] {
				prefix++
			}
			if s.Prefix() != prefix || s.Gaps() != (len(done) > int(prefix)) || s.Reserved() != reserved || s.Tail() != tail {
				t.Fatalf("seed %d: prefix %d, gaps %v, reserved %d, tail %d; want prefix %d of %d completed, %d, %d",
					seed, s.Prefix(), s.Gaps(), s.Reserved(), s.Tail(), prefix, len(done), reserved, tail)
			}
		}
	}
}

// TestTheTableEnds: a segment of small records runs out of slots and of room at the same time.
func TestTheTableEnds(t *testing.T) {
	s := memBed(t).create(t, 1, 50)
	for i := range uint32(50) {
		if loc, ok := s.Reserve(1); !ok || loc.Slot != i {
			t.Fatalf("slot %d: %+v, %v", i, loc, ok)
		}
	}
	if loc, ok := s.Reserve(1); ok {
		t.Errorf("a slot beyond the table: %+v", loc)
	}
}

// TestConcurrentWriters puts from many goroutines and reads everything back as another process would.
func TestConcurrentWriters(t *testing.T) {
	eachFS(t, func(t *testing.T, b bed) {
		s := b.create(t, 1, 160*32)
		var mu sync.Mutex
		want := map[uint32]segments.Record{}
		var writers sync.WaitGroup
		for w := range 8 {
			writers.Go(func() {
				for i := range 20 {
					p := content(uint64(w*100+i), 1+(w*7919+i*104729)%100000)
					loc, ok := s.Reserve(uint32(len(p)))
					loc.CRC = segments.Checksum(p)
					rec := segments.Record{Hash: blob.Sum(p), Location: loc, Seq: uint64(w)}
					if err := s.Write(rec, p); !ok || err != nil {
						t.Errorf("slot %d: %v, %v", loc.Slot, ok, err)
					}
					s.Complete(loc.Slot)
					mu.Lock()
					want[rec.Slot] = rec
					mu.Unlock()
				}
			})
		}
		writers.Wait()
		if s.Prefix() != 160 || s.Gaps() || s.Reserved() != 160 {
			t.Errorf("prefix %d, gaps %v, reserved %d", s.Prefix(), s.Gaps(), s.Reserved())
		}
		fresh := b.at(t, 1)
		recs, bad := scan(t, fresh, 0)
		if len(recs) != 160 || bad != 0 {
			t.Fatalf("%d records, %d bad", len(recs), bad)
		}
		for _, rec := range recs {
			p, err := payload(fresh, rec)
			if rec != want[rec.Slot] || err != nil || blob.Sum(p) != rec.Hash {
				t.Errorf("slot %d: %+v, %v", rec.Slot, rec, err)
			}
		}
	})
}

// TestWriteRefusesWhatIsNoRecord: nothing that Write took is invalid when it is read.
func TestWriteRefusesWhatIsNoRecord(t *testing.T) {
	b := memBed(t)
	s := b.create(t, 1, 1024)
	loc, _ := s.Reserve(5)
	for name, c := range map[string]struct {
		change func(r *segments.Record)
		bytes  int
	}{
		"another length":      {func(*segments.Record) {}, 6},
		"no length":           {func(r *segments.Record) { r.Length = 0 }, 0},
		"too long":            {func(r *segments.Record) { r.Length = blob.MaxSize + 1 }, blob.MaxSize + 1},
		"in the table":        {func(r *segments.Record) { r.Offset = segments.HeaderSize }, 5},
		"beyond the payloads": {func(r *segments.Record) { r.Offset = header(1, 1024).End() }, 5},
		"between blocks":      {func(r *segments.Record) { r.Offset++ }, 5},
		"beyond the table":    {func(r *segments.Record) { r.Slot = 1024 }, 5},
		"another segment":     {func(r *segments.Record) { r.Segment = 2 }, 5},
		"unknown kind":        {func(r *segments.Record) { r.Kind = 2 }, 5},
	} {
		rec := segments.Record{Location: loc}
		c.change(&rec)
		if err := s.Write(rec, make([]byte, c.bytes)); err == nil {
			t.Errorf("%s: written", name)
		}
	}
	if recs, bad := scan(t, s, 0); len(recs) != 0 || bad != 0 {
		t.Errorf("%d records, %d bad", len(recs), bad)
	}
}

func TestGiveBack(t *testing.T) {
	eachFS(t, func(t *testing.T, b bed) {
		s := b.create(t, 1, 4096)
		before, err := s.Allocated()
		if err != nil || before < 4096*segments.BlockSize {
			t.Fatalf("%d bytes allocated, %v", before, err)
		}
		rec, data := put(t, s, content(1, 50000)), content(1, 50000)
		s.Seal()
		if err := s.GiveBack(s.Tail()); err != nil {
			t.Fatal(err)
		}
		size, err := s.Size()
		if err != nil || size != rec.Offset+segments.Blocks(rec.Length) {
			t.Errorf("%d bytes long, %v", size, err)
		}
		after, err := s.Allocated()
		if most := segments.TableBytes(1) + segments.Blocks(rec.Length) + 32<<10; err != nil || after > most {
			t.Errorf("%d bytes allocated, %v; want at most %d", after, err, most)
		}
		if err := s.GiveBack(0); err != nil { // never below the payloads: the table stays
			t.Fatal(err)
		}
		if recs, _ := scan(t, s, 0); len(recs) != 1 || len(data) != int(recs[0].Length) {
			t.Errorf("records %+v", recs)
		}
	})
}

func TestCreateRefuses(t *testing.T) {
	b := memBed(t)
	b.create(t, 1, 16)
	if _, err := segments.Create(b.fs, b.path(1), header(1, 16)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file that exists: %v", err)
	}
	if _, err := segments.Create(b.fs, "/none/2.seg", header(2, 16)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that does not: %v", err)
	}
	odd := header(2, 16)
	odd.Capacity++
	for _, h := range []segments.Header{header(0, 16), header(2, 0), header(2, -1), odd, header(2, 1<<40)} {
		if _, err := segments.Create(b.fs, b.path(2), h); err == nil {
			t.Errorf("%+v", h)
		}
	}
	if _, err := b.fs.Stat(b.path(2)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file was left behind: %v", err)
	}
}

// TestCreateLeavesNothingHalfMade fails each write-side call of Create.
func TestCreateLeavesNothingHalfMade(t *testing.T) {
	for _, kind := range []crashfs.Kind{crashfs.OpCreate, crashfs.OpPreallocate, crashfs.OpWrite, crashfs.OpSync, crashfs.OpSyncDir} {
		t.Run(kind.String(), func(t *testing.T) {
			disk, hits := crashfs.New(), 0
			disk.SetHook(func(op crashfs.Op) error {
				if op.Kind == kind {
					hits++
					return syscall.EIO
				}
				return nil
			})
			_, err := segments.Create(disk, "/1.seg", header(1, 16))
			if !errors.Is(err, syscall.EIO) || hits != 1 {
				t.Errorf("%v after %d calls", err, hits)
			}
			if names, err := disk.List("/"); len(names) != 0 || err != nil {
				t.Errorf("left behind: %v, %v", names, err)
			}
		})
	}
	t.Run("full", func(t *testing.T) {
		disk := crashfs.New()
		disk.SetCapacity(1 << 20)
		if _, err := segments.Create(disk, "/1.seg", header(1, 1024)); !errors.Is(err, syscall.ENOSPC) {
			t.Error(err)
		}
		if u, err := disk.Usage("/"); err != nil || u.Used != 0 {
			t.Errorf("%+v, %v", u, err)
		}
	})
}

// TestASegmentThatWasCreatedSurvives cuts the power right after Create, and after a Sync: what was synced is there.
func TestASegmentThatWasCreatedSurvives(t *testing.T) {
	for seed := range uint64(20) {
		disk := crashfs.New()
		s, err := segments.Create(disk, "/1.seg", header(1, 64))
		if err != nil {
			t.Fatal(err)
		}
		empty, _ := disk.Cut(seed)
		if got, err := segments.At(empty, "/1.seg", header(1, 1).Mount, 1).Header(); err != nil || got != header(1, 64) {
			t.Errorf("seed %d: %+v, %v", seed, got, err)
		}
		first, data := put(t, s, content(1, 30000)), content(1, 30000)
		if err := s.Sync(); err != nil {
			t.Fatal(err)
		}
		second, lost := put(t, s, content(2, 30000)), content(2, 30000)
		left, _ := disk.Cut(seed)
		after := segments.At(left, "/1.seg", header(1, 1).Mount, 1)
		recs, _ := scan(t, after, 0)
		if len(recs) == 0 || recs[0] != first {
			t.Fatalf("seed %d: records %+v", seed, recs)
		}
		if p, err := payload(after, first); err != nil || string(p) != string(data) {
			t.Errorf("seed %d: synced payload: %v", seed, err)
		}
		if p, err := payload(after, second); err == nil && string(p) != string(lost) {
			t.Errorf("seed %d: wrong bytes", seed)
		}
		if err := errors.Join(s.Close(), after.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestUseAfterClose(t *testing.T) {
	b := memBed(t)
	s := b.create(t, 1, 16)
	rec := put(t, s, content(1, 10))
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, slotErr := s.ReadSlot(0)
	_, dataErr := s.HasData(rec.Location)
	for what, err := range map[string]error{
		"sync": s.Sync(), "write": s.Write(rec, content(1, 10)), "slot": slotErr, "data": dataErr, "dead": s.MarkDead(0),
		"punch": s.Punch(rec.Offset, 4096), "give back": s.GiveBack(0), "verify": s.Verify(rec.Location, make([]byte, 10)),
	} {
		if err == nil {
			t.Errorf("%s of a closed segment succeeds", what)
		}
	}
	if s.Pin(0) {
		t.Error("pinned after Close")
	}
	if s.ID() != 1 || s.Path() != b.path(1) {
		t.Errorf("%d %s", s.ID(), s.Path())
	}
}

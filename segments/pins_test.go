package segments_test

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/segments"
)

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s does not panic", what)
		}
	}()
	f()
}

func TestHoldIsAPinThatTouchesNothing(t *testing.T) {
	s := memBed(t).create(t, 1, 64)
	if !s.Hold(3) || s.Touched(3) || s.Pins() != 1 {
		t.Fatalf("held: touched %t, %d pins", s.Touched(3), s.Pins())
	}
	ran := false
	s.Kill(3, func() { ran = true })
	if ran || s.Hold(3) {
		t.Fatal("the hold did not keep the slot, or a dead one is held")
	}
	s.Unpin(3)
	if !ran || s.Pins() != 0 {
		t.Fatal("the hold did not end")
	}
}

func TestKillWaitsForTheLastPin(t *testing.T) {
	s := memBed(t).create(t, 1, 64)
	ran := 0
	then := func() { ran++ }
	for range 3 {
		if !s.Pin(5) {
			t.Fatal("cannot pin")
		}
	}
	if !s.Pin(6) {
		t.Fatal("cannot pin another slot")
	}
	s.Kill(5, then)
	if ran != 0 || !s.Dead(5) || s.Dead(6) {
		t.Fatalf("killed under pins: ran %d times, dead %v", ran, s.Dead(5))
	}
	if s.Pin(5) {
		t.Fatal("pinned after Kill")
	}
	if !s.Pin(6) {
		t.Fatal("a neighbour cannot be pinned after Kill")
	}
	for want := range 3 {
		if ran != 0 || s.Pins() != 5-want {
			t.Fatalf("%d pins are out, ran %d times", s.Pins(), ran)
		}
		s.Unpin(5)
	}
	if ran != 1 {
		t.Fatalf("ran %d times after the last Unpin", ran)
	}
	s.Unpin(6)
	s.Unpin(6)
	if ran != 1 || s.Pins() != 0 {
		t.Fatalf("ran %d times, %d pins", ran, s.Pins())
	}
	if s.Kill(6, then); ran != 2 {
		t.Errorf("killed without pins: ran %d times", ran)
	}
}

func TestUnpinTwicePanics(t *testing.T) {
	b := memBed(t)
	s := b.create(t, 1, 64)
	rec := put(t, s, content(1, 10))
	s.Pin(0)
	s.Unpin(0)
	mustPanic(t, "an Unpin too many", func() { s.Unpin(0) })
	if s.Pins() != 0 || !s.Pin(0) {
		t.Fatal("the segment is not as it was")
	}
	h, err := s.OpenHandle(rec.Location, segments.NewBuffers(1), false)
	if err != nil {
		t.Fatal(err)
	}
	h.Release()
	mustPanic(t, "a second Release", h.Release)
	if s.Pins() != 0 {
		t.Errorf("%d pins", s.Pins())
	}
	ran := false
	if s.Kill(0, func() { ran = true }); !ran {
		t.Error("Kill waits for nobody")
	}
}

// TestPinsKeepTheFile: Close or Discard, Unlink and Kill take nothing from a reader.
func TestPinsKeepTheFile(t *testing.T) {
	t.Run("Close", func(t *testing.T) { pinsKeepTheFile(t, (*segments.Segment).Close) })
	t.Run("Discard", func(t *testing.T) {
		pinsKeepTheFile(t, func(s *segments.Segment) error {
			return s.Discard(func(time.Duration) { t.Error("something was given back below readers") })
		})
	})
}

// TestDiscardGoesInSteps: a removed file without readers is cut down bit by bit.
func TestDiscardGoesInSteps(t *testing.T) {
	eachFS(t, func(t *testing.T, b bed) {
		s := b.create(t, 1, (10<<20)/segments.BlockSize)
		put(t, s, content(1, 5000))
		if err := s.Unlink(); err != nil {
			t.Fatal(err)
		}
		size, err := s.Size()
		if err != nil {
			t.Fatal(err)
		}
		var left []int64
		used := func() int64 {
			u, err := b.fs.Usage(b.dir)
			if err != nil {
				t.Error(err)
			}
			return u.Used
		}
		if err := s.Discard(func(time.Duration) { left = append(left, used()) }); err != nil {
			t.Fatal(err)
		}
		if want := int(size+4<<20-1) / (4 << 20); len(left) != want {
			t.Errorf("%d bytes went in %d steps, want %d", size, len(left), want)
		}
		if b.dir == "/segments" { // nobody else is there
			if !slices.IsSortedFunc(left, func(a, b int64) int { return cmp.Compare(b, a) }) || left[0] < 4<<20 || used() != 0 {
				t.Errorf("after the steps there were %d bytes in use, in the end %d", left, used())
			}
		}
		if err := s.Discard(nil); err != nil {
			t.Errorf("again: %v", err)
		}
	})
}

func pinsKeepTheFile(t *testing.T, end func(*segments.Segment) error) {
	eachFS(t, func(t *testing.T, b bed) {
		s := b.create(t, 1, 1024)
		bufs := segments.NewBuffers(1)
		var handles []*segments.Handle
		payloads := [][]byte{content(1, 5000), content(2, 500_000)}
		for _, p := range payloads {
			rec := put(t, s, p)
			s.Pin(rec.Slot)
			h, err := s.OpenHandle(rec.Location, bufs, false)
			if err != nil {
				t.Fatal(err)
			}
			handles = append(handles, h)
		}
		killed := false
		s.Kill(1, func() { killed = true })
		if err := errors.Join(s.Unlink(), end(s)); err != nil {
			t.Fatal(err)
		}
		if _, err := b.fs.Stat(b.path(1)); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("the name is still there: %v", err)
		}
		if s.Pin(0) {
			t.Error("pinned after Close")
		}
		for i, h := range handles {
			var got bytes.Buffer
			if n, err := h.WriteTo(&got); err != nil || n != h.Size() || !bytes.Equal(got.Bytes(), payloads[i]) {
				t.Errorf("record %d: %d bytes, %v", i, n, err)
			}
			p := make([]byte, 100)
			if _, err := h.ReadAt(p, 4000); err != nil || !bytes.Equal(p, payloads[i][4000:4100]) {
				t.Errorf("record %d: %v", i, err)
			}
		}
		handles[0].Release()
		if _, err := s.ReadSlot(1); err != nil || killed {
			t.Errorf("closed with a pin out: %v, killed %v", err, killed)
		}
		handles[1].Release()
		if _, err := s.ReadSlot(1); err == nil || !killed {
			t.Errorf("still open without a pin, killed %v", killed)
		}
		if u, err := b.fs.Usage(b.dir); err != nil || b.dir == "/segments" && u.Used != 0 {
			t.Errorf("%d bytes in use by a file without a name and readers, %v", u.Used, err)
		}
		if bufs.Out() != 0 {
			t.Errorf("%d buffers are out", bufs.Out())
		}
	})
}

// TestPinsUnderRace has readers, a killer and a closer at the same slots: no reader holds a pin when the slot's turn to
// be given back comes, and each turn comes once.
func TestPinsUnderRace(t *testing.T) {
	b := memBed(t)
	const slots = 32
	s := b.create(t, 1, slots)
	for i := range slots {
		put(t, s, content(uint64(i), 100))
	}
	fresh := b.at(t, 1)
	var reading, given [slots]atomic.Int32
	bufs := segments.NewBuffers(1)
	var readers, killer sync.WaitGroup
	for w := range 4 {
		readers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			for range 2000 {
				slot := rng.Uint32N(slots)
				if !fresh.Pin(slot) {
					continue
				}
				reading[slot].Add(1)
				if given[slot].Load() != 0 {
					t.Errorf("slot %d was given back and pinned after it", slot)
				}
				rec, err := fresh.ReadSlot(slot)
				if err != nil || fresh.ID() != 1 {
					t.Errorf("slot %d: %v", slot, err)
				}
				h, err := fresh.OpenHandle(rec.Location, bufs, true)
				if err != nil {
					t.Errorf("slot %d: %v", slot, err)
				}
				reading[slot].Add(-1)
				if err != nil {
					fresh.Unpin(slot)
					continue
				}
				h.Release()
			}
		})
	}
	killer.Go(func() {
		for slot := range uint32(slots) {
			fresh.Touch(slot)
			fresh.Kill(slot, func() {
				given[slot].Add(1)
				if n := reading[slot].Load(); n != 0 {
					t.Errorf("slot %d was given back under %d readers", slot, n)
				}
			})
		}
	})
	killer.Wait()
	readers.Wait()
	for i := range given {
		if n := given[i].Load(); n != 1 {
			t.Errorf("slot %d was given back %d times", i, n)
		}
	}
	if fresh.Pins() != 0 {
		t.Errorf("%d pins", fresh.Pins())
	}
}

// TestBits compares the bits of slots with a model.
func TestBits(t *testing.T) {
	s := memBed(t).create(t, 1, 64)
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	touched, checked := map[uint32]bool{}, map[uint32]bool{}
	for range 5000 {
		slot := rng.Uint32N(300)
		switch rng.IntN(4) {
		case 0:
			s.Touch(slot)
			touched[slot] = true
		case 1:
			s.Untouch(slot)
			delete(touched, slot)
		case 2:
			s.SetChecked(slot)
			checked[slot] = true
		case 3:
			if !s.Pin(slot) {
				t.Fatal("cannot pin")
			}
			s.Unpin(slot)
			touched[slot] = true
		}
		if k := rng.Uint32N(300); s.Touched(k) != touched[k] || s.Checked(k) != checked[k] {
			t.Fatalf("seed %d: slot %d is touched %v, checked %v", seed, k, s.Touched(k), s.Checked(k))
		}
	}
}

package segments_test

import (
	"slices"
	"testing"

	"github.com/OdyseeTeam/prism/segments"
)

// TestSlotStates: a dead mark of which one sector arrived is told from damage where a sector ends within it, and nowhere
// else. Half written slots are erased, and no others.
func TestSlotStates(t *testing.T) {
	eachFS(t, func(t *testing.T, b bed) {
		s := b.create(t, 1, 64)
		for i := range 40 {
			put(t, s, content(uint64(i), 10))
		}
		if err := s.MarkDead(3); err != nil {
			t.Fatal(err)
		}
		state := func(slot uint32, want segments.SlotState) {
			t.Helper()
			if got, err := s.SlotState(slot); err != nil || got != want {
				t.Errorf("slot %d: %v, %v, want %v", slot, got, err, want)
			}
		}
		flip := func(slot uint32) { // the dead bit alone
			at := segments.SlotExtent(slot).From + 67
			b.patch(t, b.path(1), at, []byte{b.raw(t, b.path(1), at, 1)[0] ^ 1})
		}
		state(3, segments.SlotValid)
		state(40, segments.SlotEmpty)
		for slot := range uint32(40) {
			flip(slot)
			want := segments.SlotDamaged
			if end := segments.SlotExtent(slot).To - 4; end%512 == 0 || end%512 == 4 { // between the mark and its CRC
				want = segments.SlotHalfMarked
			}
			state(slot, want)
			flip(slot)
		}
		b.patch(t, b.path(1), segments.SlotExtent(41).From, []byte("half of one"))
		flip(7)
		if err := s.EraseTorn(8, 64); err != nil {
			t.Fatal(err)
		}
		state(7, segments.SlotDamaged)
		state(8, segments.SlotValid)
		state(41, segments.SlotEmpty)
	})
}

func TestStray(t *testing.T) {
	eachFS(t, func(t *testing.T, b bed) {
		s := b.create(t, 1, 256)
		h, err := s.Header()
		if err != nil {
			t.Fatal(err)
		}
		rec := put(t, s, content(1, 5000))
		known := []segments.Extent{
			segments.HeaderExtent(), segments.SlotExtent(0), {From: rec.Offset, To: rec.Offset + 5000},
		}
		look := func(want ...segments.Extent) {
			t.Helper()
			var got []segments.Extent
			err := s.Stray(known, func(x segments.Extent) error { got = append(got, x); return nil })
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("found %v, %v, want %v", got, err, want)
			}
		}
		look()
		behind, far := rec.Offset+5000, h.End()-3
		b.patch(t, b.path(1), 100, []byte{1, 0, 2})
		b.patch(t, b.path(1), behind, []byte{9})
		look(segments.Extent{From: 100, To: 103}, segments.Extent{From: behind, To: behind + 1})
		b.patch(t, b.path(1), far, []byte{0, 7, 0})
		look(segments.Extent{From: 100, To: 103}, segments.Extent{From: behind, To: far + 2})
		for _, x := range []segments.Extent{{From: 100, To: 103}, {From: behind, To: h.End()}} {
			if err := s.Blank(x); err != nil {
				t.Fatal(err)
			}
		}
		look()
	})
}

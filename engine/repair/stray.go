package repair

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"syscall"

	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
)

// findStrays looks for bytes that nobody needs and that are not zeros, as package check does. Those among the payloads
// are given back with what no record covers.
func (r *run) findStrays() error {
	for _, f := range r.files {
		if f.seg == nil {
			continue
		}
		if err := r.findStraysOf(f); err != nil {
			return err
		}
		f.used = nil
	}
	return nil
}

// findStraysOf looks through one segment.
func (r *run) findStraysOf(f *file) error {
	err := f.seg.Stray(f.needed(true), func(x segments.Extent) error { f.blank = append(f.blank, x); return nil })
	if errors.Is(err, syscall.EIO) && f.lost == nil {
		f.lost = err
	}
	if f.lost != nil {
		r.note("copy what can be read of segment %d to a new one, and move the file to quarantine: %v", f.id, f.lost)
		return nil
	}
	if err != nil {
		return err
	}
	for _, x := range f.blank {
		r.note("clear stray bytes of segment %d: %d at %d", f.id, x.To-x.From, x.From)
	}
	if !r.clean || r.oldSegs[f.id].State != index.StateSealed {
		return nil // what a run leaves that did not end in good order
	}
	err = f.seg.Stray(f.needed(false), func(x segments.Extent) error {
		r.note("give back stray bytes of segment %d: %d at %d", f.id, x.To-x.From, x.From)
		return nil
	})
	if err != nil {
		r.note("give back what cannot be read of segment %d, where no record is: %v", f.id, err)
	}
	return nil
}

// use is what a valid slot needs: its own bytes, and those of its payload, whose place this is.
type use struct {
	at           int64
	slot, length uint32
	keep         int32 // of its file, or notKept
	dead         bool
}

const notKept = -1

// end is where its whole blocks end.
func (u *use) end() int64 { return u.at + segments.Blocks(u.length) }

// needed gives the extents that may hold something: with tidy, all that the giving back of blocks sees to.
func (f *file) needed(tidy bool) []segments.Extent {
	all := make([]segments.Extent, 0, 2*(len(f.used)+len(f.keep)+1))
	all = append(all, segments.HeaderExtent())
	if !tidy {
		all[0].To = f.hdr.PayloadAt()
	}
	for i := range f.used {
		u := &f.used[i]
		all = append(all, segments.SlotExtent(u.slot))
		if !tidy && !u.dead {
			all = append(all, segments.Extent{From: u.at, To: u.end()})
		}
	}
	for i := range f.keep {
		k := &f.keep[i]
		all = append(all, segments.SlotExtent(k.slot))
		if !tidy {
			all = append(all, segments.Extent{From: k.offset, To: k.end()})
		}
	}
	if tidy {
		at := f.hdr.PayloadAt()
		for _, k := range f.byOffset() {
			all = append(all, segments.Extent{From: at, To: max(at, k.offset+int64(k.length))})
			at = max(at, k.end())
		}
		all = append(all, segments.Extent{From: at, To: math.MaxInt64})
	}
	slices.SortFunc(all, func(a, b segments.Extent) int { return cmp.Compare(a.From, b.From) })
	return all
}

// byOffset gives the records that stand, in the order of their payloads.
func (f *file) byOffset() []*kept {
	stay := make([]*kept, 0, len(f.keep))
	for i := range f.keep {
		if k := &f.keep[i]; !k.out {
			stay = append(stay, k)
		}
	}
	slices.SortFunc(stay, func(a, b *kept) int { return cmp.Compare(a.offset, b.offset) })
	return stay
}

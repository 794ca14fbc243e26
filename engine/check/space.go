package check

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
)

// span is the extent of a slot in whole blocks.
type span struct {
	from, to int64
	slot     uint32
	length   uint32 // of the payload, and
	crc      uint32 // its CRC
	live     bool
	judged   bool // something else was said about it, if it is not live
}

// checkOverlaps finds extents that are used twice, where one of the records is live.
func (s *segment) checkOverlaps() {
	slices.SortFunc(s.spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.slot, b.slot))
	})
	var reach span // the one that ends last so far
	for _, x := range s.spans {
		if x.from < reach.to && (x.live || reach.live) {
			s.add(Finding{
				Kind: Overlap, Segment: s.id, Slot: int64(x.slot), Offset: x.from,
				Detail: fmt.Sprintf("its extent overlaps that of slot %d", reach.slot),
			})
		}
		if x.to > reach.to {
			reach = x
		}
	}
}

// The room that a file system needs for a file's own maps: some for each file, and some for each run of blocks, of
// which there may be one for each record.
const (
	mapsPerFile = 64 << 10
	mapsPerRow  = 32
)

// checkLeak looks for blocks that nothing needs, after a run that ended in good order: no other gives all of them back.
func (s *segment) checkLeak() {
	if !s.rep.GoodStop || !s.known || s.row.State == index.StateDoomed {
		return
	}
	have, err := s.file.Allocated()
	if err != nil {
		s.find(Unreadable, s.id, "%v", err)
		return
	}
	need := segments.TableBytes(s.row.Slots) + s.need
	if slack := mapsPerFile + mapsPerRow*int64(len(s.rows)); have > need+slack {
		s.find(Leak, s.id, "%d bytes on disk, and %d are needed", have, need)
	}
}

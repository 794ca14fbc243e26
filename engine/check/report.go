package check

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
)

// Kind says what is wrong.
type Kind string

// The kinds of findings.
const (
	Superblock      Kind = "superblock"       // damaged, or its id ceiling is below a segment's id
	Index           Kind = "index"            // damaged, or lost
	ForeignFile     Kind = "foreign-file"     // something among the segments that is none
	SegmentMissing  Kind = "segment-missing"  // rows of a segment that has no file
	SegmentUnknown  Kind = "segment-unknown"  // a file that has no row
	SegmentDamaged  Kind = "segment-damaged"  // a file that is no segment, or not the one that its name says
	SegmentRow      Kind = "segment-row"      // its state, capacity, slots or watermark cannot be
	Totals          Kind = "totals"           // a segment row that does not count its blob rows
	RowWithoutSlot  Kind = "row-without-slot" // a blob row whose slot is not valid
	RowOfDeadSlot   Kind = "row-of-dead-slot" // a blob row whose slot is marked dead
	RowOfOtherSlot  Kind = "row-of-other"     // a blob row that says something else than its slot
	SlotWithoutRow  Kind = "slot-without-row" // a record that the index does not have
	SlotBeyondEnd   Kind = "slot-beyond-end"  // a slot above those that its sealed segment has
	NoData          Kind = "no-data"          // an extent with a hole in it
	Overlap         Kind = "overlap"          // an extent that is used twice
	OrderWithoutRow Kind = "order-without-row"
	RowWithoutOrder Kind = "row-without-order"
	Leak            Kind = "leak"        // blocks that no live record needs
	Payload         Kind = "payload"     // its CRC does not match
	WrongHash       Kind = "wrong-hash"  // its CRC matches, and its hash does not
	Unreadable      Kind = "unreadable"  // the disk returned an error
	StrayBytes      Kind = "stray-bytes" // bytes where there should be none, and that nobody reads: nothing is lost by them
)

// NoSlot is Finding.Slot when the finding is not about one slot.
const NoSlot = -1

// Finding is one thing that is wrong. What does not apply is zero, or NoSlot. As JSON its fields keep their names; zero
// ones but the slot are left out.
type Finding struct {
	Kind    Kind        `json:"kind"`
	Segment segments.ID `json:"segment,omitzero"`
	Slot    int64       `json:"slot"`
	Offset  int64       `json:"offset,omitzero"` // in the segment's file, bytes
	Hash    blob.Hash   `json:"hash,omitzero"`   // of the blob that is concerned
	Detail  string      `json:"detail"`
	Repair  string      `json:"repair"` // what to do about it
}

// compareFindings is the order of a report: by segment, offset and slot. What is about the mount comes first, and of two
// that are about the same the order is always the same.
func compareFindings(a, b Finding) int {
	return cmp.Or(cmp.Compare(a.Segment, b.Segment), cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Slot, b.Slot),
		cmp.Compare(a.Kind, b.Kind), bytes.Compare(a.Hash[:], b.Hash[:]), cmp.Compare(a.Detail, b.Detail))
}

// String is the finding on one line.
func (f Finding) String() string {
	var b strings.Builder
	b.WriteString(string(f.Kind))
	if f.Segment != 0 {
		fmt.Fprintf(&b, " %d", f.Segment)
		if f.Slot != NoSlot {
			fmt.Fprintf(&b, ":%d", f.Slot)
		}
	}
	if f.Offset != 0 {
		fmt.Fprintf(&b, " at %d", f.Offset)
	}
	if f.Hash != (blob.Hash{}) {
		fmt.Fprintf(&b, " blob %s", f.Hash)
	}
	fmt.Fprintf(&b, ": %s", f.Detail)
	if f.Repair != "" {
		fmt.Fprintf(&b, " (%s)", f.Repair)
	}
	return b.String()
}

// keptFindings bounds Report.Findings: a mount with a thousand faults is not mended one by one.
const keptFindings = 1000

// Report is what was found. Sizes are in bytes. As JSON its fields keep their names.
type Report struct {
	Dir      string    `json:"dir"`
	GoodStop bool      `json:"good_stop"`      // the last run says that it ended in good order
	Taken    time.Time `json:"taken,omitzero"` // when its rows were read, while a process served it; zero: at rest

	Blobs     int64               `json:"blobs"`      // blob rows
	Bytes     int64               `json:"bytes"`      // their payloads
	LiveBytes int64               `json:"live_bytes"` // the same in whole blocks
	SDBytes   int64               `json:"sd_bytes"`   // of LiveBytes, those of SD blobs
	Segments  map[index.State]int `json:"segments"`   // segment rows
	Files     int                 `json:"files"`      // segment files
	Slots     int64               `json:"slots"`      // valid ones, the dead included
	Dead      int64               `json:"dead"`
	Torn      int64               `json:"torn"`    // slots that were written and are not valid: a power cut leaves some
	Read      int64               `json:"read"`    // payloads that were read and compared
	Pending   int64               `json:"pending"` // things that the next open has to do
	Gone      int64               `json:"gone"`    // records that were removed between Taken and the look at them

	Findings []Finding      `json:"findings"` // the first 1,000, in the order of segments and offsets
	Found    map[Kind]int64 `json:"found"`    // all of them
}

func newReport(dir string) *Report {
	return &Report{Dir: dir, Segments: map[index.State]int{}, Findings: []Finding{}, Found: map[Kind]int64{}}
}

// Clean says that nothing is wrong.
func (r Report) Clean() bool { return len(r.Found) == 0 }

// Condition says in words how a mount was met: goodStop and taken as in a Report.
func Condition(goodStop bool, taken time.Time) string {
	switch {
	case !taken.IsZero():
		return "as it was at " + taken.UTC().Format(time.RFC3339) + ", while it is served"
	case goodStop:
		return "the last run ended in good order"
	}
	return "the last run did not end in good order, or never was"
}

// add notes a finding.
func (r *Report) add(f Finding) {
	if f.Repair == "" {
		f.Repair = repair(f.Kind)
	}
	r.Found[f.Kind]++
	r.Findings = append(r.Findings, f)
	if len(r.Findings) >= 2*keptFindings {
		r.sort()
	}
}

// sort puts the findings in order, and keeps the first.
func (r *Report) sort() {
	slices.SortFunc(r.Findings, compareFindings)
	r.Findings = slices.Delete(r.Findings, min(keptFindings, len(r.Findings)), len(r.Findings))
}

// String is the report for people, in some lines.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", r.Dir, Condition(r.GoodStop, r.Taken))
	fmt.Fprintf(&b, "%d blobs of %d bytes (%d on disk, %d of them of SD blobs)\n", r.Blobs, r.Bytes, r.LiveBytes, r.SDBytes)
	fmt.Fprintf(&b, "%d segment files, rows:", r.Files)
	if len(r.Segments) == 0 {
		b.WriteString(" none")
	}
	for _, state := range slices.Sorted(maps.Keys(r.Segments)) {
		fmt.Fprintf(&b, " %d %s", r.Segments[state], state)
	}
	fmt.Fprintf(&b, "\n%d slots, %d of them dead; %d torn\n%d payloads read\n", r.Slots, r.Dead, r.Torn, r.Read)
	if r.Pending > 0 && r.Taken.IsZero() {
		fmt.Fprintf(&b, "%d things are left for the next open to finish\n", r.Pending)
	} else if r.Pending > 0 {
		fmt.Fprintf(&b, "%d things were not finished yet, and not judged\n", r.Pending)
	}
	if r.Gone > 0 {
		fmt.Fprintf(&b, "%d records were removed meanwhile\n", r.Gone)
	}
	if r.Clean() {
		b.WriteString("clean\n")
		return b.String()
	}
	var all int64
	for _, kind := range slices.SortedFunc(maps.Keys(r.Found), func(a, b Kind) int {
		return cmp.Or(cmp.Compare(r.Found[b], r.Found[a]), cmp.Compare(a, b))
	}) {
		fmt.Fprintf(&b, "FOUND %d × %s\n", r.Found[kind], kind)
		all += r.Found[kind]
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "  %s\n", f)
	}
	if more := all - int64(len(r.Findings)); more > 0 {
		fmt.Fprintf(&b, "  and %d more\n", more)
	}
	return b.String()
}

// repair says what `fsck repair` does about a kind of finding.
func repair(k Kind) string {
	switch k {
	case Superblock:
		return "repair makes a new superblock from the segments: prism fsck repair"
	case Index, Totals, OrderWithoutRow, RowWithoutOrder, SegmentRow, SegmentUnknown, SlotBeyondEnd:
		return "repair makes a new index from the segments"
	case SlotWithoutRow:
		return "repair adds the blob to the index, if its payload is whole and no younger record has it"
	case ForeignFile:
		return "repair moves it to quarantine"
	case RowWithoutSlot:
		return "repair writes the slot again if the payload is that of the row, and drops the row if it is not"
	case SegmentMissing, RowOfDeadSlot, NoData:
		return "repair drops what is said to be there; there is nothing to keep"
	case RowOfOtherSlot:
		return "repair drops the row, and adds what the slot says"
	case Payload, WrongHash:
		return "repair drops the blob, and keeps a copy of what is there in quarantine"
	case SegmentDamaged:
		return "repair gives it its name or its header again, or moves it to quarantine"
	case Overlap:
		return "repair erases the slot whose bytes are not whole"
	case Leak:
		return "repair gives the blocks back"
	case StrayBytes:
		return "nothing is lost by them; repair clears them"
	case Unreadable:
		return "repair drops a blob that cannot be read; of a segment whose header or table cannot be read it copies the rest to a new one"
	}
	return ""
}

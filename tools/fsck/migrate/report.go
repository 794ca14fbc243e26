package migrate

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/segments"
)

// Bad is a blob that was left where it is, because it is not what its name says or cannot be read.
type Bad struct {
	Hash    string      `json:"hash,omitempty"` // empty where that is not known
	Path    string      `json:"path"`           // of the file, or of the segment
	Segment segments.ID `json:"segment,omitempty"`
	Slot    uint32      `json:"slot,omitempty"` // of Segment
	Why     string      `json:"why"`
}

// String is the blob on one line.
func (b Bad) String() string {
	where := b.Path
	if b.Hash != "" && b.Segment != 0 {
		where = fmt.Sprintf("%s slot %d blob %s", b.Path, b.Slot, b.Hash)
	}
	return where + ": " + b.Why
}

// keptBad bounds Report.BadBlobs: a store with a thousand bad blobs is not looked through by hand.
const keptBad = 1000

// Report is what a run came to. Bytes are those of payloads.
type Report struct {
	From     string `json:"from"`
	To       string `json:"to"`
	Holds    string `json:"holds"`               // what the source is, in words
	ServedBy string `json:"served_by,omitempty"` // who has the source's lock meanwhile
	Moved    bool   `json:"moved"`               // whether the source was freed

	Found       int64         `json:"found"`
	FoundBytes  int64         `json:"found_bytes"`
	Copied      int64         `json:"copied"`
	CopiedBytes int64         `json:"copied_bytes"`
	There       int64         `json:"already_there"`
	Gone        int64         `json:"gone"` // evicted or deleted between the look and the read
	Freed       int64         `json:"freed"`
	Bad         int64         `json:"bad"`
	BadBlobs    []Bad         `json:"bad_blobs"` // the first 1,000
	Took        time.Duration `json:"took_ns"`
}

// Clean says that nothing was left behind.
func (r Report) Clean() bool { return r.Bad == 0 }

// String is the report for people, without the bad blobs, in some lines.
func (r Report) String() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	perSecond := float64(r.CopiedBytes) / max(r.Took.Seconds(), 0.001)
	p("%s → %s", r.From, r.To)
	p("  found    %d blobs of %s (%s)", r.Found, sized(r.FoundBytes), r.Holds)
	p("  copied   %d blobs of %s in %v, %s/s", r.Copied, sized(r.CopiedBytes), r.Took.Round(time.Millisecond), sized(int64(perSecond)))
	p("  there    %d blobs already", r.There)
	if r.Moved {
		p("  freed    %d blobs in %s", r.Freed, r.From)
	}
	if r.Gone > 0 {
		p("  gone     %d blobs left %s meanwhile", r.Gone, r.From)
	}
	if r.ServedBy != "" {
		p("  served   by %s meanwhile: run it again for what came since", r.ServedBy)
	}
	p("  bad      %d blobs, which stay", r.Bad)
	return b.String()
}

// sized is a number of bytes for a person.
func sized(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d bytes", n)
	}
	v, unit := float64(n)/1024, 0
	for v >= 1023.5 && unit < len(units)-1 {
		v /= 1024
		unit++
	}
	return fmt.Sprintf("%.4g %ciB", v, units[unit])
}

// The phases of a run.
const (
	Looking = "looking"
	Moving  = "moving"
	Done    = "done"
)

// Progress is how far a run is.
type Progress struct {
	Phase      string
	Found      int64 // blobs, so far while looking
	FoundBytes int64
	Done       int64 // of them, whatever became of them
	DoneBytes  int64
	Bad        int64
}

// counters are what Progress and Report are made of.
type counters struct {
	phase                                           atomic.Pointer[string]
	found, foundBytes, done, doneBytes              atomic.Int64
	copied, copiedBytes, there, gone, freed, badAll atomic.Int64

	mu  sync.Mutex
	bad []Bad
}

func (c *counters) setPhase(p string) { c.phase.Store(&p) }

// Progress is how far Run is. It may be called at any time.
func (m *Migration) Progress() Progress {
	c := &m.count
	p := Progress{
		Found: c.found.Load(), FoundBytes: c.foundBytes.Load(),
		Done: c.done.Load(), DoneBytes: c.doneBytes.Load(), Bad: c.badAll.Load(),
	}
	if phase := c.phase.Load(); phase != nil {
		p.Phase = *phase
	}
	return p
}

// addBad notes a bad blob.
func (m *Migration) addBad(b Bad) {
	c := &m.count
	c.badAll.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.bad) < keptBad {
		c.bad = append(c.bad, b)
	}
	if m.o.OnBad != nil {
		m.o.OnBad(b)
	}
}

func (m *Migration) report(began time.Time) Report {
	c := &m.count
	r := Report{
		From: m.o.From, To: m.o.To, Moved: m.o.Move,
		Found: c.found.Load(), FoundBytes: c.foundBytes.Load(), Copied: c.copied.Load(), CopiedBytes: c.copiedBytes.Load(),
		There: c.there.Load(), Gone: c.gone.Load(), Freed: c.freed.Load(), Bad: c.badAll.Load(),
		Took: time.Since(began),
	}
	c.mu.Lock()
	r.BadBlobs = append([]Bad{}, c.bad...)
	c.mu.Unlock()
	if m.src != nil {
		r.Holds, r.ServedBy = m.src.about()
	}
	return r
}

package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/OdyseeTeam/prism/engine"
	checker "github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// stat is the stat command.
type stat struct {
	Common
	Online
}

// Run says what the mount holds.
func (c stat) Run(s *Streams) error {
	ctx, stop := Until()
	defer stop()
	t, err := c.look(ctx)
	if err != nil {
		return err
	}
	return s.result(c.JSON, t)
}

// look counts what the mount holds, at rest or while it is served.
func (c stat) look(ctx context.Context) (t held, err error) {
	if !c.wanted() {
		t.Stats, err = checker.Stat(ctx, diskfs.OS(), c.Path)
		return t, c.refused(err, "stat")
	}
	served, err := c.served(ctx)
	if err != nil {
		return t, err
	}
	figures, err := served.Stat(ctx)
	if err != nil {
		return t, err
	}
	t.Served = &figures
	t.Stats, err = checker.StatOnline(ctx, diskfs.OS(), served.Dir, served)
	return t, err
}

// held is what a mount holds, as a person reads it.
type held struct {
	checker.Stats
	Served *engine.Stats `json:",omitempty"` // the figures of the program that serves it; nil: at rest
}

// String is a screen of it.
func (t held) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", t.Dir, checker.Condition(t.GoodStop, t.Taken))
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(cells ...any) {
		for _, c := range cells {
			fmt.Fprint(w, c, "\t")
		}
		fmt.Fprintln(w)
	}
	row("used", size(t.Used), fmt.Sprint(t.Files, " files"))
	row("live", size(t.LiveBytes), fmt.Sprint(t.Blobs, " blobs"))
	row("dead", size(t.DeadBytes), fmt.Sprint(t.Dead, " slots"))
	_ = w.Flush() // to memory
	fmt.Fprintf(&b, "\nsegments of %s:", size(t.SegmentSize))
	if len(t.Segments) == 0 {
		b.WriteString(" none")
	}
	for _, state := range slices.Sorted(maps.Keys(t.Segments)) {
		fmt.Fprintf(&b, " %d %s", t.Segments[state], state)
	}
	b.WriteString("\n" + t.scrub() + "\n\n")
	row("length", "content", "SD", "bytes")
	for _, c := range t.Sizes {
		row(sizeLabel(c.UpTo), c.Content, c.SD, size(c.Bytes))
	}
	_ = w.Flush()
	b.WriteString("\n")
	row("written", "blobs", "bytes")
	for _, c := range t.Ages {
		row(ageLabel(c.UpTo), c.Blobs, size(c.Bytes))
	}
	_ = w.Flush()
	writeBlobs(&b, "hottest (evicted last)", t.Hottest)
	writeBlobs(&b, "oldest (evicted next)", t.Oldest)
	return b.String()
}

func (t held) scrub() string {
	if t.Served != nil {
		return servedScrub(t.Served.Scrub)
	}
	switch at := t.Scrub; {
	case at == nil:
		return "scrub: none has begun"
	case at.Began.After(time.Now()):
		return fmt.Sprintf("scrub: the next begins %s", at.Began.UTC().Format(time.RFC3339))
	default:
		return fmt.Sprintf("scrub: at %d:%d, began %s", at.Segment, at.Slot, at.Began.UTC().Format(time.RFC3339))
	}
}

// servedScrub is what the program says that scrubs.
func servedScrub(st engine.ScrubStats) string {
	if st.Period == 0 {
		return "scrub: off"
	}
	at := "none has begun"
	switch {
	case st.Began.After(time.Now()):
		at = "the next begins " + st.Began.UTC().Format(time.RFC3339)
	case !st.Began.IsZero():
		at = fmt.Sprintf("%.1f %% done, began %s", 100*st.Done, st.Began.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("scrub: %s; since the start %d blobs of %s, %d findings", at, st.Blobs, size(st.Bytes), st.Findings)
}

func writeBlobs(b *strings.Builder, title string, list []checker.Blob) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s:\n", title)
	for _, x := range list {
		written := "not known"
		if !x.Written.IsZero() {
			written = x.Written.Format(time.RFC3339)
		}
		fmt.Fprintf(b, "  %s  %s (%s) at %d:%d, written %s\n", x.Hash, size(x.Length), x.Kind, x.Segment, x.Slot, written)
	}
}

// sizeLabel names a class of lengths, of which the last two differ by a byte.
func sizeLabel(upTo int64) string {
	switch {
	case upTo%1024 != 0:
		return "< " + size(upTo+1)
	case upTo >= 1<<20:
		return "= " + size(upTo)
	}
	return "≤ " + size(upTo)
}

func ageLabel(upTo time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case upTo == 0:
		return "earlier"
	case upTo < day:
		return fmt.Sprintf("≤ %d h ago", upTo/time.Hour)
	}
	return fmt.Sprintf("≤ %d d ago", upTo/day)
}

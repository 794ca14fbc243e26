package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	checker "github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// stat is the stat command.
type stat struct {
	Common
	Path string `arg:"" help:"The mount: the folder that has the superblock."`
}

// Run says what the mount holds.
func (c stat) Run(s *Streams) error {
	ctx, stop := Until()
	defer stop()
	t, err := checker.Stat(ctx, diskfs.OS(), c.Path)
	if err != nil {
		return err
	}
	return s.result(c.JSON, held(t))
}

// held is what a mount holds, as a person reads it.
type held checker.Stats

// String is a screen of it.
func (t held) String() string {
	var b strings.Builder
	stop := "the last run ended in good order"
	if !t.GoodStop {
		stop = "the last run did not end in good order, or never was"
	}
	fmt.Fprintf(&b, "%s: %s\n", t.Dir, stop)
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
	switch at := t.Scrub; {
	case at == nil:
		return "scrub: none has begun"
	case at.Began.After(time.Now()):
		return fmt.Sprintf("scrub: the next begins %s", at.Began.UTC().Format(time.RFC3339))
	default:
		return fmt.Sprintf("scrub: at %d:%d, began %s", at.Segment, at.Slot, at.Began.UTC().Format(time.RFC3339))
	}
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

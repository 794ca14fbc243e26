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
	fmt.Fprintf(&b, "%s: %s\n\n", t.Dir, checker.Condition(t.GoodStop, t.Taken))
	w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', tabwriter.AlignRight)
	row := func(cells ...any) {
		for _, c := range cells {
			fmt.Fprint(w, c, "\t")
		}
		fmt.Fprintln(w)
	}
	var sd int64
	for _, c := range t.Sizes {
		sd += c.SD
	}
	row("used", size(t.Used), "", several(t.Files, "file"))
	row("live", size(t.LiveBytes), percent(t.LiveBytes, t.Used), several(t.Blobs, "blob"), fmt.Sprint(sd, " SD"))
	row("dead", size(t.DeadBytes), percent(t.DeadBytes, t.Used), several(t.Dead, "slot"))
	row("free, tables", size(max(0, t.Used-t.LiveBytes-t.DeadBytes)), percent(max(0, t.Used-t.LiveBytes-t.DeadBytes), t.Used))
	_ = w.Flush() // to memory
	fmt.Fprintf(&b, "\nsegments of %s: %s\n%s\n\n", size(t.SegmentSize), t.states(), t.scrub())
	row("length", "content", "SD", "bytes", "")
	for _, c := range t.Sizes {
		row(sizeLabel(c.UpTo), count(c.Content), count(c.SD), some(c.Bytes), percent(c.Bytes, t.Bytes))
	}
	_ = w.Flush()
	b.WriteString("\n")
	row("written", "blobs", "bytes", "")
	for _, c := range t.Ages {
		row(ageLabel(c.UpTo), count(c.Blobs), some(c.Bytes), percent(c.Bytes, t.Bytes))
	}
	_ = w.Flush()
	writeBlobs(&b, "hottest (evicted last), written in UTC", t.Hottest)
	writeBlobs(&b, "oldest (evicted next), written in UTC", t.Oldest)
	return withoutTails(b.String())
}

// withoutTails takes away the spaces with which tables end their lines.
func withoutTails(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return b.String()
}

// states counts the segments by their state.
func (t held) states() string {
	var list []string
	for _, state := range slices.Sorted(maps.Keys(t.Segments)) {
		list = append(list, fmt.Sprintf("%d %s", t.Segments[state], state))
	}
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

func (t held) scrub() string {
	if t.Served != nil {
		return servedScrub(t.Served.Scrub)
	}
	const day = 24 * time.Hour
	switch at := t.Scrub; {
	case at == nil:
		return "scrub: none has begun"
	case at.Began.After(time.Now()):
		return fmt.Sprintf("scrub: the next begins %s", at.Began.UTC().Format(time.DateTime))
	default:
		return fmt.Sprintf("scrub: at segment %d slot %d, began %s, %d days ago", at.Segment, at.Slot, at.Began.UTC().Format(time.DateTime), time.Since(at.Began)/day)
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

// writeBlobs lists blobs; the hash stands last, because it is long.
func writeBlobs(b *strings.Builder, title string, list []checker.Blob) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s:\n", title)
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, x := range list {
		written := "not known"
		if !x.Written.IsZero() {
			written = x.Written.Format(time.DateTime)
		}
		fmt.Fprintf(w, "  %s\t%9s\t%s\t%d:%d\t%s\n", written, size(x.Length), x.Kind, x.Segment, x.Slot, x.Hash)
	}
	_ = w.Flush() // to memory
}

// percent is n as a part of whole, and nothing where either is nothing.
func percent(n, whole int64) string {
	if n == 0 || whole == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(whole))
}

// several is a number of things.
func several[N int | int64](n N, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// count is a number in a table, in which nothing is not to catch the eye.
func count(n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

// some is a size in a table, as count is a number.
func some(n int64) string {
	if n == 0 {
		return "-"
	}
	return size(n)
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

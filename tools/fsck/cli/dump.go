package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/segments"
)

// dump is the dump command.
type dump struct {
	Common
	Segment string `arg:"" help:"The file of a segment."`
}

// table is what a segment says of itself.
type table struct {
	Path    string
	Header  segments.Header
	Torn    int // slots that were written and are not valid
	Records []segments.Record
}

// String is the table for people: a line for each slot.
func (t table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: segment %d of mount %x, %d slots for %s, made %s\n", t.Path, t.Header.ID, t.Header.Mount, t.Header.Slots(),
		size(t.Header.Capacity), time.Unix(int64(t.Header.Created), 0).UTC().Format(time.RFC3339))
	for _, r := range t.Records {
		dead := ""
		if r.Dead {
			dead = " dead"
		}
		fmt.Fprintf(&b, "%d: %s %d bytes (%s) at %d, CRC %08x, sequence %d, %s%s\n", r.Slot, r.Hash, r.Length, r.Kind, r.Offset, r.CRC,
			r.Seq, time.Unix(int64(r.Time), 0).UTC().Format(time.RFC3339), dead)
	}
	fmt.Fprintf(&b, "%d valid slots, %d torn\n", len(t.Records), t.Torn)
	return b.String()
}

// Run prints the header and the slots of a segment, which may be one that a program writes to.
func (d dump) Run(s *Streams) error {
	h, err := header(d.Segment)
	if err != nil {
		return err
	}
	t := table{Path: d.Segment, Header: h}
	seg := segments.At(diskfs.OS(), d.Segment, h.Mount, h.ID)
	defer seg.Close()
	t.Torn, err = seg.Scan(0, func(r segments.Record) error {
		t.Records = append(t.Records, r)
		return nil
	})
	if err != nil {
		return err
	}
	return s.result(d.JSON, t)
}

// header reads the header of a segment's file.
func header(path string) (segments.Header, error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return segments.Header{}, err
	}
	defer f.Close()
	b := make([]byte, segments.HeaderSize)
	n, _ := f.Read(b) // what is short is no header
	h, err := segments.ParseHeader(b[:n])
	if err != nil {
		return h, fmt.Errorf("%s: %w", path, err)
	}
	return h, nil
}

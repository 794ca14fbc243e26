package check_test

import (
	"errors"
	"path/filepath"
	"strings"

	"github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/segments"
)

// strayDamage is bytes where nobody needs any. They are found when payloads are read.
func strayDamage() []damage {
	data := check.Options{Payloads: true}
	put := func(name string, off func(b *bed) int64, at string) damage {
		return damage{name: name, options: data, want: found{check.StrayBytes: 1}, at: at, do: func(b *bed) {
			b.patch(b.path(1), off(b), []byte{1})
		}}
	}
	table := segments.Header{Capacity: segmentBlocks * segments.BlockSize}
	behind := func(b *bed) int64 { return b.recs[1][0].Offset + int64(b.recs[1][0].Length) }
	return []damage{
		put("behind the header", func(*bed) int64 { return 4095 }, "stray-bytes 1 at 4095: the rest of the header"),
		put("an empty slot", func(*bed) int64 { return slotAt(segmentBlocks - 1) }, "stray-bytes 1 at "),
		put("behind a payload", behind, "stray-bytes 1 at "),
		put("a punched payload", func(b *bed) int64 { return b.recs[1][2].Offset + 5000 }, "stray-bytes 1 at "),
		put("behind the end", func(*bed) int64 { return table.End() + 10 }, "stray-bytes 1 at "),
		{name: "stray bytes, not looked for", want: found{}, do: func(b *bed) { b.patch(b.path(1), behind(b), []byte{1}) }},
		{name: "a dead payload that is whole", options: data, want: found{check.Leak: 1}, do: func(b *bed) {
			b.patch(b.path(1), b.recs[1][2].Offset, content(102, int(b.recs[1][2].Length)))
		}},
		{name: "what a power cut leaves", options: data, want: found{}, do: func(b *bed) {
			b.unclean(6)
			b.patch(b.path(1), b.recs[1][2].Offset+5000, []byte{1})
			b.patch(b.path(1), slotAt(100), []byte("half a slot"))
		}},
		{name: "behind a payload after a power cut", options: data, want: found{check.StrayBytes: 1}, do: func(b *bed) {
			b.unclean(6)
			b.patch(b.path(1), behind(b), []byte{1})
		}},
		{name: "options of the index", options: data, want: found{check.StrayBytes: 1, check.Index: 1}, at: "stray-bytes: /mount/index/OPTIONS", do: func(b *bed) {
			names, err := b.fs.List(filepath.Join(b.dir, "index"))
			b.must(err)
			for _, name := range names {
				if strings.HasPrefix(name, "OPTIONS") {
					b.patch(filepath.Join(b.dir, "index", name), 0, []byte{0}) // Pebble refuses to open it
				}
			}
		}},
		{name: "a damaged table that the index does not name", options: data, want: found{}, do: func(b *bed) {
			path := filepath.Join(b.dir, "index", "999999.sst")
			f, err := b.fs.Create(path)
			b.must(errors.Join(err, f.Close()))
			b.patch(path, 0, []byte("no table"))
		}},
		{name: "a foreign file in the index", options: data, want: found{check.StrayBytes: 1}, do: func(b *bed) {
			f, err := b.fs.Create(filepath.Join(b.dir, "index", "notes.txt"))
			b.must(errors.Join(err, f.Close()))
		}},
	}
}

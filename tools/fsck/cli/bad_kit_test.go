package cli_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/pebblefs"
	"github.com/OdyseeTeam/prism/segments"
	"github.com/OdyseeTeam/prism/segments/mount"
	"github.com/OdyseeTeam/prism/tools/fsck/cli"
)

// bad is a mount of two segments, closed in good order, that a test is about to damage.
type bad struct {
	t    *testing.T
	dir  string
	id   [16]byte
	all  map[blob.Hash][]byte
	recs map[segments.ID][]segments.Record // the live ones, by slot
}

func newBad(t *testing.T) *bad {
	t.Helper()
	b := &bad{t: t, dir: t.TempDir(), all: map[blob.Hash][]byte{}}
	r := rand.NewChaCha8([32]byte{3})
	e := b.open()
	for i := range 10 {
		if i == 5 { // the second segment
			b.must(e.Close())
			e = b.open()
		}
		p := make([]byte, []int{1, 5000, 70_000, 4096, 200_000}[i%5]+i)
		_, _ = r.Read(p) // never fails
		b.all[blob.Sum(p)] = p
		v, err := blob.Verify(blob.Sum(p), p)
		b.must(err)
		b.must(e.Put(t.Context(), v, blob.KindContent))
	}
	b.must(e.Close())
	b.read()
	return b
}

// read finds out what the segments hold.
func (b *bad) read() {
	super, err := mount.ReadSuperblock(diskfs.OS(), b.dir)
	b.must(err)
	b.id, b.recs = super.ID, map[segments.ID][]segments.Record{}
	for _, id := range b.ids() {
		b.segment(id, func(s *segments.Segment) error {
			_, err := s.Scan(0, func(rec segments.Record) error {
				if !rec.Dead {
					b.recs[id] = append(b.recs[id], rec)
				}
				return nil
			})
			return err
		})
	}
}

func (b *bad) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bad) open() *engine.Engine {
	b.t.Helper()
	e, err := engine.Open(b.t.Context(), engine.Options{
		Dir: b.dir, MaxSize: 1 << 30, SegmentSize: 2 << 20, ActiveSegments: 1, Logger: slog.New(slog.DiscardHandler),
	})
	b.must(err)
	return e
}

func (b *bad) path(parts ...string) string {
	return filepath.Join(append([]string{b.dir}, parts...)...)
}

func (b *bad) seg(id segments.ID) string { return b.path("segments", mount.SegmentName(id)) }

// ids gives the segments that have records, in order.
func (b *bad) ids() (ids []segments.ID) {
	for _, name := range b.list("segments") {
		id, ok := mount.ParseSegmentName(name)
		if !ok {
			b.t.Fatal(name)
		}
		ids = append(ids, id)
	}
	return ids
}

func (b *bad) list(folder string) (names []string) {
	entries, err := os.ReadDir(b.path(folder))
	b.must(err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// index gives the one file of the index whose name has that form.
func (b *bad) index(pattern string) string {
	b.t.Helper()
	names, err := filepath.Glob(b.path("index", pattern))
	b.must(err)
	if len(names) == 0 {
		b.t.Fatalf("no %s in %v", pattern, b.list("index"))
	}
	return names[len(names)-1]
}

func (b *bad) patch(path string, off int64, p []byte) {
	b.t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	b.must(err)
	_, err = f.WriteAt(p, off)
	b.must(errors.Join(err, f.Close()))
}

func (b *bad) flip(path string, off int64) {
	b.t.Helper()
	all, err := os.ReadFile(path)
	b.must(err)
	b.patch(path, off, []byte{all[off] ^ 0x10})
}

func (b *bad) segment(id segments.ID, f func(s *segments.Segment) error) {
	b.t.Helper()
	s := segments.At(diskfs.OS(), b.seg(id), b.id, id)
	b.must(errors.Join(f(s), s.Close()))
}

// rows changes the index.
func (b *bad) rows(f func(batch *index.Batch)) {
	b.t.Helper()
	x, err := index.Open(index.Options{FS: pebblefs.New(diskfs.OS()), Dir: b.path("index"), CacheBytes: 1 << 20})
	b.must(err)
	batch := x.NewBatch()
	f(batch)
	b.must(errors.Join(batch.Commit(true), x.Close()))
}

// forge changes a slot, and gives it a CRC that is right again.
func (b *bad) forge(rec segments.Record, slot uint32, change func(s []byte)) {
	b.t.Helper()
	all, err := os.ReadFile(b.seg(rec.Segment))
	b.must(err)
	at := segments.SlotExtent(rec.Slot).From
	s := slices.Clone(all[at : at+segments.SlotSize])
	change(s)
	le := binary.LittleEndian
	head := append(slices.Clone(b.id[:]), make([]byte, 12)...)
	le.PutUint64(head[16:], uint64(rec.Segment))
	le.PutUint32(head[24:], slot)
	le.PutUint32(s[72:], crc32.Checksum(append(head, s[:72]...), crc32.MakeTable(crc32.Castagnoli)))
	b.patch(b.seg(rec.Segment), segments.SlotExtent(slot).From, s)
}

// copyTo copies a folder of the mount.
func (b *bad) copyTo(to string, parts ...string) {
	b.t.Helper()
	b.must(os.CopyFS(to, os.DirFS(b.path(parts...))))
}

// mended runs check, repair and check, and asks the engine for every blob. Of those only `lost` may be gone, and repair names
// them.
func (b *bad) mended(lost int) {
	b.t.Helper()
	fsck(b.t, cli.ExitFindings, "check", "--hash", b.dir)
	out, _ := fsck(b.t, cli.ExitClean, "repair", b.dir)
	if n := bytes.Count([]byte(out), []byte("LOST ")); n != lost {
		b.t.Errorf("%d blobs are lost, want %d\n%s", n, lost, out)
	}
	fsck(b.t, cli.ExitClean, "check", "--hash", b.dir)
	b.serves(lost)
}

// serves opens the engine: of the blobs `missing` are not there, and the others are what they were.
func (b *bad) serves(missing int) {
	b.t.Helper()
	e := b.open()
	b.must(e.WaitRecovered(b.t.Context()))
	n := 0
	for h, p := range b.all {
		got, err := e.Get(b.t.Context(), h)
		if errors.Is(err, blob.ErrNotFound) {
			n++
			continue
		}
		b.must(err)
		q := make([]byte, got.Size())
		if _, err := got.ReadAt(q, 0); err != nil || !bytes.Equal(p, q) {
			b.t.Errorf("%s: wrong bytes, or %v", h.Short(), err)
		}
		got.Release()
	}
	if n != missing {
		b.t.Errorf("%d blobs are missing, want %d", n, missing)
	}
	b.must(e.Close())
	fsck(b.t, cli.ExitClean, "check", "--hash", b.dir)
}

// tree is what is in a folder, to be compared.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		p, err := os.ReadFile(path)
		all[path] = string(p)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

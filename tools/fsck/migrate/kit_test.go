package migrate_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/engine/check/checktest"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/pebblefs"
	"github.com/OdyseeTeam/prism/segments"
	"github.com/OdyseeTeam/prism/segments/mount"
	"github.com/OdyseeTeam/prism/stores/disk"
	"github.com/OdyseeTeam/prism/tools/fsck/migrate"
)

var quiet = slog.New(slog.DiscardHandler)

const segmentSize = 16 << 20

// bytesOf makes blob number i of a seed: one in ten describes a stream, the others are of all sizes.
func bytesOf(seed uint64, i, most int) []byte {
	rnd := rand.New(rand.NewPCG(seed, uint64(i)))
	if i%10 == 3 {
		return fmt.Appendf(nil, `{"stream_hash":"%d-%d"}`, seed, i)
	}
	b := make([]byte, 1+rnd.IntN(most))
	for at := 0; at < len(b); at += 8 {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], rnd.Uint64())
		copy(b[at:], word[:])
	}
	return b
}

// bed is a source with its blobs.
type bed struct {
	from, to string
	blobs    []blob.Hash // good ones, coldest first
	bad      map[blob.Hash]string
}

func hashes(seed uint64, n, most int) (names []blob.Hash, data [][]byte) {
	for i := range n {
		b := bytesOf(seed, i, most)
		names, data = append(names, blob.Sum(b)), append(data, b)
	}
	return names, data
}

func write(t testing.TB, path string, b []byte, used time.Time) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, used, used); err != nil {
		t.Fatal(err)
	}
}

func pathOf(root string, prefix int, h blob.Hash) string {
	return filepath.Join(root, h.String()[:prefix], h.String())
}

// filesBed makes a cache of one file a blob as old programs leave it: used in an order of its own, some blobs bad, and
// unfinished ones in tmp.
func filesBed(t testing.TB, root string, seed uint64, n, most, prefix int) bed {
	t.Helper()
	b := bed{from: filepath.Join(root, "old"), to: filepath.Join(root, "new"), bad: map[blob.Hash]string{}}
	began := time.Now().Add(-240 * time.Hour).Truncate(time.Second)
	for i, at := range rand.New(rand.NewPCG(seed, 1)).Perm(n) {
		data := bytesOf(seed, at, most)
		h := blob.Sum(data)
		write(t, pathOf(b.from, prefix, h), data, began.Add(time.Duration(i)*time.Second))
		b.blobs = append(b.blobs, h)
	}
	spoil := func(i int, what string, by func([]byte) []byte) {
		whole := bytesOf(seed+1, i, most)
		h := blob.Sum(whole)
		write(t, pathOf(b.from, prefix, h), by(whole), began)
		b.bad[h] = what
	}
	spoil(0, "empty", func([]byte) []byte { return nil })
	spoil(1, "cut", func(w []byte) []byte { return w[:len(w)/2] })
	spoil(2, "other bytes", func(w []byte) []byte { w[0] ^= 1; return w })
	spoil(4, "large", func([]byte) []byte { return make([]byte, blob.MaxSize+1) })
	for i := range n / 500 {
		spoil(5+i, "other bytes", func(w []byte) []byte { w[len(w)/2] ^= 1; return w })
	}
	half, _ := hashes(seed+2, 1, most)
	write(t, filepath.Join(b.from, "tmp", half[0].String()), []byte("half"), time.Now())
	return b
}

// segmentsBed makes a segment store.
func segmentsBed(t testing.TB, root string, seed uint64, n, most int) bed {
	t.Helper()
	b := bed{from: filepath.Join(root, "old"), to: filepath.Join(root, "new"), bad: map[blob.Hash]string{}}
	e := openEngine(t, b.from)
	names, data := hashes(seed, n, most)
	for i := range names {
		put(t, e, data[i])
	}
	b.blobs = names
	gone := bytesOf(seed+1, 0, most) // deleted: nobody may bring it back
	put(t, e, gone)
	if err := e.Delete(t.Context(), blob.Sum(gone)); err != nil {
		t.Fatal(err)
	}
	b.bad[blob.Sum(gone)] = "deleted"
	closeAll(t, e)
	return b
}

func openEngine(t testing.TB, dir string) *engine.Engine {
	t.Helper()
	checktest.After(t, nil, dir)
	e, err := engine.Open(t.Context(), engine.Options{Dir: dir, SegmentSize: segmentSize, MinFree: 1, ActiveSegments: 1, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func put(t testing.TB, e *engine.Engine, data []byte) {
	t.Helper()
	v, err := blob.Verify(blob.Sum(data), data)
	if err != nil {
		t.Fatal(err)
	}
	kind := blob.KindContent
	if data[0] == '{' {
		kind = blob.KindSD
	}
	if err := e.Put(t.Context(), v, kind); err != nil {
		t.Fatal(err)
	}
}

func closeAll(t testing.TB, c interface{ Close() error }) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

// run runs a migration that must go well.
func run(t testing.TB, o migrate.Options) migrate.Report {
	t.Helper()
	rep, err := try(t, o)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func try(t testing.TB, o migrate.Options) (migrate.Report, error) {
	t.Helper()
	if o.MaxSize == 0 {
		o.MaxSize = migrate.NoCap
	}
	if o.SegmentSize == 0 && o.Layout != migrate.Sharded {
		o.SegmentSize = segmentSize
	}
	o.Logger = quiet
	m, err := migrate.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return m.Run(context.WithoutCancel(t.Context()))
}

// store opens what a migration made.
func store(t testing.TB, dir string, layout migrate.Layout, prefix int) *disk.Store {
	t.Helper()
	o := disk.Options{MountPoint: dir, Mode: disk.ModeSegments, SegmentSize: segmentSize, MinFree: 1, Logger: quiet}
	if layout == migrate.Sharded {
		o = disk.Options{MountPoint: dir, Mode: disk.ModeSharded, ShardingSize: prefix, MinFree: 1, Logger: quiet}
	}
	checktest.After(t, nil, dir)
	s, err := disk.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.WaitRecovered(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// mustHave fails unless the store has every good blob, right to the last byte, and no bad one.
func (b bed) mustHave(t testing.TB, layout migrate.Layout, prefix int) {
	t.Helper()
	s := store(t, b.to, layout, prefix)
	defer closeAll(t, s)
	for _, h := range b.blobs {
		hd, err := s.Get(t.Context(), h)
		if err != nil {
			t.Fatalf("%s: %v", h.Short(), err)
		}
		sum := blob.NewHasher(make([]byte, 0, blob.MaxSize))
		_, err = hd.WriteTo(sum)
		hd.Release()
		if err != nil || sum.Sum() != h {
			t.Fatalf("%s: %v, other bytes", h.Short(), err)
		}
	}
	for h, what := range b.bad {
		if ok, err := s.Has(t.Context(), h); ok || err != nil {
			t.Errorf("%s, which is %s, is there: %v", h.Short(), what, err)
		}
	}
}

// mustBeClean checks a segment store, payloads and hashes too.
func mustBeClean(t testing.TB, dir string) {
	t.Helper()
	rep, err := check.Mount(t.Context(), diskfs.OS(), dir, check.Options{Hashes: true})
	if err != nil {
		t.Fatal(err)
	}
	if !rep.Clean() {
		t.Fatal(rep)
	}
}

// order is the blobs of a store, coldest first, by its index.
func order(t testing.TB, dir string, layout migrate.Layout) []blob.Hash {
	t.Helper()
	where := filepath.Join(dir, "index")
	if layout == migrate.Sharded {
		where = disk.FilesIndex(dir)
	}
	x, err := index.Open(index.Options{FS: pebblefs.New(diskfs.OS()), Dir: where})
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(t, x)
	cur, err := x.Cursor(0)
	if err != nil {
		t.Fatal(err)
	}
	defer cur.Close()
	var out []blob.Hash
	for row, ok := cur.Next(); ok; row, ok = cur.Next() {
		h := row.Hash
		if row.Segment != 0 {
			h = slotHash(t, dir, row)
		}
		out = append(out, h)
	}
	if err := cur.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func slotHash(t testing.TB, dir string, row index.OrderRow) blob.Hash {
	t.Helper()
	super, err := mount.ReadSuperblock(diskfs.OS(), dir)
	if err != nil {
		t.Fatal(err)
	}
	s := segments.At(diskfs.OS(), filepath.Join(dir, "segments", mount.SegmentName(row.Segment)), super.ID, row.Segment)
	defer closeAll(t, s)
	rec, err := s.ReadSlot(row.Slot)
	if err != nil {
		t.Fatal(err)
	}
	return rec.Hash
}

// filesLeft are the names of blobs below a folder of one file a blob.
func filesLeft(t testing.TB, root string) map[string]struct{} {
	t.Helper()
	left := map[string]struct{}{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "tmp":
			return fs.SkipDir
		}
		if _, err := blob.ParseHash(d.Name()); err == nil {
			left[d.Name()] = struct{}{}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return left
}

package enginetest_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/engine/repair"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/segments"
	"github.com/OdyseeTeam/prism/segments/mount"
)

var allDamage = flag.Bool("all-damage", false, "damage every block of every file, not a sample of them")

// The ways to damage a block.
var ways = []string{"zeroed", "garbage", "one bit", "cut here", "unreadable"} //nolint:gochecknoglobals // never changed

// damage damages a block of a file, and says up to where. Where that would change no byte, nor what can be read, it says
// so: a hole has no block that a disk could fail to give.
func damage(t *testing.T, disk *crashfs.FS, path string, off int64, way string) (to int64, done bool) {
	t.Helper()
	f, err := disk.Open(path, true)
	if err != nil {
		t.Fatal(err)
	}
	size, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	was := make([]byte, min(segments.BlockSize, size-off))
	if _, err := f.ReadAt(was, off); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	data, err := f.SeekData(off)
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	hole := err == io.EOF || data > off
	to, done, p := off+int64(len(was)), true, make([]byte, len(was))
	switch way {
	case "zeroed":
		done = !bytes.Equal(p, was)
		_, err = f.WriteAt(p, off)
	case "garbage":
		_, _ = rand.NewChaCha8([32]byte{byte(off)}).Read(p) // never fails
		_, err = f.WriteAt(p, off)
	case "one bit":
		to = off + 1
		_, err = f.WriteAt([]byte{was[0] ^ 4}, off)
	case "cut here":
		to = size
		err = f.Truncate(off)
	case "unreadable":
		done = !hole
		err = disk.FailReads(path, off, 1)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return to, done
}

// tally is a row of the table that the sweep prints.
type tally struct{ cases, found, mended, hit, lost int }

// place is where a blob is: its file, and the bytes of its slot and its payload.
type place struct {
	path          string
	slot, payload segments.Extent
}

// places finds the blobs of a mount.
func places(t *testing.T, disk *crashfs.FS, all map[blob.Hash][]byte) []place {
	t.Helper()
	super, err := mount.ReadSuperblock(disk, mountDir)
	if err != nil {
		t.Fatal(err)
	}
	var out []place
	for path := range files(t, disk, "segments") {
		id, _ := mount.ParseSegmentName(filepath.Base(path))
		s := segments.At(disk, path, super.ID, id)
		_, err := s.Scan(0, func(rec segments.Record) error {
			if _, ok := all[rec.Hash]; ok && !rec.Dead {
				out = append(out, place{path, segments.SlotExtent(rec.Slot), segments.Extent{From: rec.Offset, To: rec.Offset + int64(rec.Length)}})
			}
			return nil
		})
		if err = errors.Join(err, s.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if len(out) != len(all) {
		t.Fatalf("%d blobs have places, want %d", len(out), len(all))
	}
	return out
}

// hit counts the blobs that have bytes in a range of a file.
func hit(blobs []place, path string, from, to int64) (n int) {
	for _, b := range blobs {
		if b.path == path && (b.slot.From < to && b.slot.To > from || b.payload.From < to && b.payload.To > from) {
			n++
		}
	}
	return n
}

// many is a mount of small blobs, so that its index has more than a few blocks. It was opened twice.
func many(t *testing.T) (*crashfs.FS, map[blob.Hash][]byte) {
	t.Helper()
	disk, all := crashfs.New(), map[blob.Hash][]byte{}
	for from := 0; from < 1200; from += 600 {
		e, err := engine.Open(t.Context(), options(disk))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 600 {
			p := fmt.Appendf(nil, "blob %d", from+i)
			v, err := blob.Verify(blob.Sum(p), p)
			if err == nil {
				err = e.Put(t.Context(), v, blob.KindContent)
			}
			if err != nil {
				t.Fatal(err)
			}
			all[v.Hash()] = p
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return disk, all
}

// sweep is the damage of one folder of one mount.
type sweep struct {
	folder string
	whole  *crashfs.FS
	all    map[blob.Hash][]byte
	blobs  []place
	table  map[string]*tally // by way
}

// TestRepairOfDamage damages blocks of every file. Check must find all of it and repair mend all of it, with no blob lost
// that was not hit.
func TestRepairOfDamage(t *testing.T) {
	large, small := sweep{folder: "segments"}, sweep{folder: "index"}
	large.whole, large.all = built(t)
	small.whole, small.all = many(t)
	for _, s := range []*sweep{&large, &small} {
		s.blobs, s.table = places(t, s.whole, s.all), map[string]*tally{}
		for _, way := range ways {
			s.table[way] = &tally{}
		}
		s.run(t)
	}
	t.Log("| where, how | cases | found | mended | blobs hit | blobs lost |")
	for _, s := range []*sweep{&large, &small} {
		for _, way := range ways {
			r := s.table[way]
			t.Logf("| %s, %s | %d | %d | %d | %d | %d |", s.folder, way, r.cases, r.found, r.mended, r.hit, r.lost)
			if r.cases == 0 {
				t.Errorf("%s, %s: no cases", s.folder, way)
			}
		}
	}
}

// run damages the blocks of the folder, or a sample of them with the first two of each file.
func (s *sweep) run(t *testing.T) {
	for path, size := range files(t, s.whole, s.folder) {
		for off := int64(0); off < size; off += segments.BlockSize {
			block := off / segments.BlockSize
			if !*allDamage && block > 1 && block%11 != 0 {
				continue
			}
			for _, way := range ways {
				disk, _ := s.whole.Cut(0)
				to, done := damage(t, disk, path, off, way)
				if !done {
					continue
				}
				hits := hit(s.blobs, path, off, to)
				t.Run(fmt.Sprintf("%s at %d %s", filepath.Base(path), off, way), func(t *testing.T) {
					sweepOne(t, disk, s.all, s.table[way], hits)
				})
			}
		}
	}
}

// TestDryRunOfDamage: what check finds a dry run would mend.
func TestDryRunOfDamage(t *testing.T) {
	whole, _ := built(t)
	for _, folder := range []string{"segments", "index"} {
		for path, size := range files(t, whole, folder) {
			for off := int64(0); off < size; off += 88 * segments.BlockSize {
				for _, way := range ways {
					disk, _ := whole.Cut(0)
					if _, done := damage(t, disk, path, off, way); !done {
						continue
					}
					dry, err := repair.Mount(t.Context(), disk, mountDir, repair.Options{DryRun: true})
					if err != nil || len(dry.Done)+len(dry.Lost) == 0 {
						t.Errorf("%s at %d %s: a dry run says %v, %v", path, off, way, dry, err)
					}
				}
			}
		}
	}
}

// sweepOne repairs one damaged mount.
func sweepOne(t *testing.T, disk *crashfs.FS, all map[blob.Hash][]byte, row *tally, hits int) {
	row.cases++
	row.hit += hits
	if r := look(t, disk); r.Clean() {
		t.Errorf("check found nothing\n%s", r)
	} else {
		row.found++
	}
	r := mend(t, disk)
	row.mended++
	missing := serves(t, disk, all)
	if missing != len(all)-int(r.Blobs) || missing != len(r.Lost) {
		t.Errorf("%d blobs are missing\n%s", missing, r)
	}
	if missing > hits {
		t.Errorf("%d blobs were hit, and %d are lost\n%s", hits, missing, r)
	}
	row.lost += missing
}

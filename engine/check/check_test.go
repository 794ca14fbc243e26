package check_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/segments"
	"github.com/OdyseeTeam/prism/segments/mount"
)

func TestAWholeMountIsClean(t *testing.T) {
	for name, b := range map[string]*bed{"os": osBed(t), "crashfs": memBed(t)} {
		t.Run(name, func(t *testing.T) {
			b.t = t
			b.build()
			for range 2 { // looking changes nothing
				r := b.check(check.Options{Payloads: true, Hashes: true})
				if !r.Clean() || !r.GoodStop || r.Pending != 0 {
					t.Fatal(r)
				}
				if r.Blobs != 10 || r.Bytes != 2*(1+4096+5000+70_000+1_000_000) || r.LiveBytes != b.row(1).LiveBytes*2 ||
					r.SDBytes != b.row(1).SDBytes*2 || r.Files != 2 || r.Segments[index.StateSealed] != 2 ||
					r.Slots != 12 || r.Dead != 2 || r.Torn != 0 || r.Read != 10 {
					t.Errorf("%+v", r)
				}
				if text := r.String(); !strings.HasSuffix(text, "\nclean\n") || !strings.Contains(text, "10 blobs") {
					t.Error(text)
				}
			}
		})
	}
}

// TestAFreshMountIsClean: a mount that was opened once and holds nothing.
func TestAFreshMountIsClean(t *testing.T) {
	b := memBed(t)
	b.open(func(*mount.Mount) {})
	if r := b.check(check.Options{}); !r.Clean() || r.GoodStop || r.Blobs != 0 {
		t.Error(r)
	}
}

// TestWhatTheNextOpenFinishes: after a run that did not end in good order, what lies above a watermark is neither right
// nor wrong yet, and some traces of removals are left below.
func TestWhatTheNextOpenFinishes(t *testing.T) {
	whole := memBed(t).build()
	for name, c := range map[string]struct {
		do      func(b *bed)
		pending int64
		want    found
	}{
		"nothing is left": {func(b *bed) { b.unclean(6) }, 0, found{}},
		"records above the watermark": {func(b *bed) {
			b.forget(b.recs[1][3])
			b.forget(b.recs[1][4])
			b.unclean(3)
			b.change(1, func(r *index.SegmentRow) {
				r.State, r.Slots, r.Watermark = index.StateActive, 0, 3
				count(r, b.recs[1][3], -1)
				count(r, b.recs[1][4], -1)
			})
		}, 2, found{}},
		"a row above the watermark whose slot is not there": {func(b *bed) {
			b.patch(b.path(1), slotAt(4), make([]byte, segments.SlotSize))
			b.unclean(3)
		}, 1, found{}},
		"a row above the watermark whose payload is not there": {func(b *bed) {
			b.segment(1, func(s *segments.Segment) { b.must(s.Punch(b.recs[1][4].Offset, 4096)) })
			b.unclean(3)
		}, 1, found{}},
		"a row above the watermark whose payload is torn": {func(b *bed) {
			b.flip(b.path(1), b.recs[1][4].Offset)
			b.unclean(3)
		}, 1, found{}},
		"the same below the watermark": {func(b *bed) {
			b.flip(b.path(1), b.recs[1][0].Offset)
			b.segment(1, func(s *segments.Segment) { b.must(s.Punch(b.recs[1][1].Offset, 4096)) })
			b.patch(b.path(1), slotAt(3), make([]byte, segments.SlotSize))
			b.segment(1, func(s *segments.Segment) { b.must(s.MarkDead(4)) })
			b.unclean(6)
		}, 0, found{check.Payload: 1, check.NoData: 1, check.RowWithoutSlot: 1, check.RowOfDeadSlot: 1}},
		"a dead mark that was lost": {func(b *bed) {
			b.unclean(6)
			b.forget(b.recs[1][3])
		}, 1, found{}},
		"a segment that was just made": {func(b *bed) {
			b.unclean(6)
			s, err := segments.Create(b.fs, b.path(3), segments.Header{Mount: b.id, ID: 3, Capacity: 1 << 20})
			b.must(err)
			b.must(s.Close())
		}, 1, found{}},
		"a segment that was half made": {func(b *bed) {
			b.unclean(6)
			f, err := b.fs.Create(b.path(3))
			b.must(err)
			b.must(errors.Join(f.Preallocate(8192, 1<<20), f.Close()))
		}, 1, found{}},
		"a segment that is damaged": {func(b *bed) {
			b.unclean(6)
			b.flip(b.path(1), 40)
		}, 0, found{check.SegmentDamaged: 1}},
		"a segment that was just unlinked": {func(b *bed) {
			b.unclean(6)
			b.index(func(_ *index.Index, batch *index.Batch) {
				batch.SetSegment(index.SegmentRow{ID: 3, State: index.StateDoomed})
			})
		}, 1, found{}},
		"a segment that was just unlinked, before it was said to be doomed": {func(b *bed) {
			b.unclean(6)
			b.index(func(_ *index.Index, batch *index.Batch) {
				batch.SetSegment(index.SegmentRow{ID: 3, State: index.StateSealed, Slots: 9})
			})
		}, 1, found{}},
		"a segment of an adopted orphan": {func(b *bed) {
			b.unclean(6)
			b.change(1, func(r *index.SegmentRow) { r.Capacity, r.Slots, r.Watermark = 0, 0, 0 })
		}, 0, found{}},
		"above the watermark of a failed segment": {func(b *bed) {
			b.forget(b.recs[1][5])
			b.unclean(6)
			b.change(1, func(r *index.SegmentRow) {
				r.State, r.Watermark = index.StateFailed, 5
				count(r, b.recs[1][5], -1)
			})
		}, 0, found{}},
		"space that was not given back": {func(b *bed) {
			b.forget(b.recs[1][5])
			b.segment(1, func(s *segments.Segment) { b.must(s.MarkDead(5)) })
			b.unclean(6)
			b.change(1, func(r *index.SegmentRow) { count(r, b.recs[1][5], -1) })
		}, 0, found{}},
		"the order is never half written": {func(b *bed) {
			b.unclean(0)
			b.index(func(_ *index.Index, batch *index.Batch) { b.put(batch, b.recs[1][3]) })
		}, 0, found{check.OrderWithoutRow: 1}},
		"neither are totals": {func(b *bed) {
			b.unclean(6)
			b.change(1, func(r *index.SegmentRow) { r.LiveBlobs-- })
		}, 0, found{check.Totals: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			b := whole.clone(t)
			c.do(b)
			r := b.check(check.Options{Hashes: true})
			if r.GoodStop || r.Pending != c.pending || fmt.Sprint(r.Found) != fmt.Sprint(c.want) {
				t.Errorf("%d pending, found %v; want %d, %v\n%v", r.Pending, r.Found, c.pending, c.want, r)
			}
		})
	}
}

// tree lists everything below a folder.
func tree(t *testing.T, fsys diskfs.FS, dir string) []string {
	t.Helper()
	names, err := fsys.List(dir)
	if err != nil {
		return []string{err.Error()}
	}
	var all []string
	for _, name := range names {
		path := filepath.Join(dir, name)
		all = append(all, path)
		if info, err := fsys.Stat(path); err == nil && info.IsDir() {
			all = append(all, tree(t, fsys, path)...)
		}
	}
	return all
}

func TestWhatIsNoMountIsLeftAlone(t *testing.T) {
	for name, paths := range map[string][]string{
		"missing":                     nil,
		"empty":                       {"/mount/"},
		"something else":              {"/mount/", "/mount/notes.txt"},
		"one file a blob":             {"/mount/", "/mount/ab/", "/mount/ab/abcd"},
		"a file":                      {"/mount"},
		"folders that were half made": {"/mount/", "/mount/lock", "/mount/segments/", "/mount/index/"},
	} {
		t.Run(name, func(t *testing.T) {
			disk := crashfs.New()
			for _, path := range paths {
				if dir, ok := strings.CutSuffix(path, "/"); ok {
					if err := disk.Mkdir(dir); err != nil {
						t.Fatal(err)
					}
					continue
				}
				f, err := disk.Create(path)
				if err = errors.Join(err, f.Close()); err != nil {
					t.Fatal(err)
				}
			}
			before := tree(t, disk, "/")
			_, err := check.Mount(t.Context(), disk, "/mount", check.Options{})
			if !errors.Is(err, mount.ErrNotAMount) {
				t.Errorf("%v, want %v", err, mount.ErrNotAMount)
			}
			if after := tree(t, disk, "/"); !slices.Equal(before, after) {
				t.Errorf("there was %v, there is %v", before, after)
			}
		})
	}
}

func TestAMountInUseIsRefused(t *testing.T) {
	for name, b := range map[string]*bed{"os": osBed(t), "crashfs": memBed(t)} {
		t.Run(name, func(t *testing.T) {
			b.t = t
			b.build()
			b.open(func(*mount.Mount) {
				_, err := check.Mount(t.Context(), b.fs, b.dir, check.Options{})
				var held *diskfs.LockedError
				if !errors.As(err, &held) || !strings.HasPrefix(held.Owner, "pid ") || !strings.Contains(err.Error(), held.Owner) {
					t.Errorf("%v", err)
				}
			})
			if r := b.check(check.Options{}); !r.Clean() {
				t.Error(r)
			}
			b.open(func(*mount.Mount) {}) // the lock was given back
		})
	}
}

func TestANewerMountIsLeftAlone(t *testing.T) {
	b := memBed(t).build()
	path := filepath.Join(b.dir, "superblock")
	f, err := b.fs.Open(path, true)
	b.must(err)
	p := make([]byte, mount.SuperblockSize)
	_, err = f.ReadAt(p, 0)
	b.must(err)
	p[8]++
	binary.LittleEndian.PutUint32(p[124:], crc32.Checksum(p[:124], crc32.MakeTable(crc32.Castagnoli)))
	_, err = f.WriteAt(p, 0)
	b.must(errors.Join(err, f.Close()))
	if _, err := check.Mount(t.Context(), b.fs, b.dir, check.Options{}); !errors.Is(err, mount.ErrNewerVersion) {
		t.Errorf("%v, want %v", err, mount.ErrNewerVersion)
	}
}

func TestAnEndedContextEndsTheCheck(t *testing.T) {
	b := memBed(t).build()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	if _, err := check.Mount(ctx, b.fs, b.dir, check.Options{}); !errors.Is(err, why) {
		t.Errorf("%v, want %v", err, why)
	}
	if r := b.check(check.Options{}); !r.Clean() { // everything was closed
		t.Error(r)
	}
}

// TestManyFindings: all are counted, and the first thousand are kept.
func TestManyFindings(t *testing.T) {
	b := memBed(t).build()
	for i := range 1200 {
		f, err := b.fs.Create(filepath.Join(b.dir, "segments", fmt.Sprintf("x%d", i)))
		b.must(errors.Join(err, f.Close()))
	}
	r := b.check(check.Options{})
	if r.Found[check.ForeignFile] != 1200 || len(r.Findings) != 1000 || r.Clean() {
		t.Errorf("%d found, %d kept", r.Found[check.ForeignFile], len(r.Findings))
	}
	if text := r.String(); !strings.Contains(text, "FOUND 1200 × foreign-file\n") || !strings.HasSuffix(text, "\n  and 200 more\n") {
		t.Errorf("%.500s", text)
	}
}

// sees says what is not right with what a check of TestNothingIsWritten saw.
func sees(b *bed, name string, o check.Options) error {
	r := b.check(o)
	switch lost := name == "markers lost"; {
	case lost && r.Found[check.Index] == 0:
		return fmt.Errorf("the index is not missed: %v", r)
	case !lost && (r.Blobs != 10 || r.Found[check.Index] > 0):
		return fmt.Errorf("%d blobs, want 10: %v", r.Blobs, r)
	}
	return nil
}

// TestNothingIsWritten by a check, nor by what looks into a mount: only the locks, which say who has it.
func TestNothingIsWritten(t *testing.T) {
	whole := memBed(t).build()
	logs := whole.clone(t)
	logs.unclean(3)
	unmarked := whole.clone(t)
	names, err := unmarked.fs.List(filepath.Join(unmarked.dir, "index"))
	unmarked.must(err)
	for _, name := range names {
		if strings.HasPrefix(name, "marker.") {
			unmarked.must(unmarked.fs.Remove(filepath.Join(unmarked.dir, "index", name)))
		}
	}
	for name, from := range map[string]*bed{"stopped": whole, "logs to replay": logs, "markers lost": unmarked} {
		for what, look := range map[string]func(b *bed) error{
			"tables": func(b *bed) error { return sees(b, name, check.Options{}) },
			"hashes": func(b *bed) error { return sees(b, name, check.Options{Hashes: true}) },
			"stat": func(b *bed) error {
				_, err := check.Stat(t.Context(), b.fs, b.dir)
				if name == "markers lost" && errors.Is(err, check.ErrDamaged) {
					return nil
				}
				return err
			},
		} {
			t.Run(name+", "+what, func(t *testing.T) {
				b := from.clone(t)
				before := tree(t, b.fs, b.dir)
				b.disk.SetHook(func(op crashfs.Op) error {
					name := filepath.Base(op.Path)
					if name == "lock" || name == "LOCK" || op.Kind == crashfs.OpSync || op.Kind == crashfs.OpSyncDir {
						return nil // what another left in the page cache is made durable before it is judged
					}
					t.Errorf("%v %s", op.Kind, op.Path)
					return errors.New("not to be written")
				})
				b.must(look(b))
				b.disk.SetHook(nil)
				if after := tree(t, b.fs, b.dir); !slices.Equal(before, after) {
					t.Errorf("there was %v, there is %v", before, after)
				}
			})
		}
	}
}

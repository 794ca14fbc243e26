package mount_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/segments/mount"
)

// TestPowerCuts makes a mount and updates it, with a power cut before each write-side call. Whatever is left opens, and
// its superblock is the last acknowledged one or the one that was being written.
func TestPowerCuts(t *testing.T) {
	type crash struct {
		where string
		disk  *crashfs.FS
		acked uint64
		made  bool
	}
	for seed := range uint64(20) {
		fsys := crashfs.New()
		var crashes []crash
		var lost crashfs.Report
		acked, made := uint64(0), false
		kinds := map[crashfs.Kind]bool{}
		fsys.SetHook(func(op crashfs.Op) error {
			image, report := fsys.Cut(seed<<16 | uint64(op.N))
			lost.Add(report)
			kinds[op.Kind] = true
			crashes = append(crashes, crash{fmt.Sprintf("before call %d, %s %s", op.N, op.Kind, op.Path), image, acked, made})
			return nil
		})
		m, err := mount.Open(fsys, "/m", fresh)
		if err != nil {
			t.Fatal(err)
		}
		made = true
		id := m.Superblock().ID
		for i := range uint64(5) {
			if err := m.Update(func(s *mount.Superblock) { s.IDCeiling = 100 + i }); err != nil {
				t.Fatal(err)
			}
			acked = 100 + i
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		fsys.SetHook(nil)

		for _, c := range crashes {
			m, err := mount.Open(c.disk, "/m", fresh)
			if err != nil {
				t.Fatalf("seed %d, power cut %s: %v", seed, c.where, err)
			}
			s := m.Superblock()
			if c.made && s.ID != id {
				t.Errorf("seed %d, power cut %s: another store", seed, c.where)
			}
			if s.IDCeiling < c.acked || c.acked > 0 && s.IDCeiling > c.acked+1 {
				t.Errorf("seed %d, power cut %s: ceiling %d, acknowledged was %d", seed, c.where, s.IDCeiling, c.acked)
			}
			if err := errors.Join(m.Update(func(s *mount.Superblock) { s.IDCeiling = 1000 }), m.Close()); err != nil {
				t.Errorf("seed %d, power cut %s: %v", seed, c.where, err)
			}
		}
		if !lost.Lost() {
			t.Errorf("seed %d: no power cut lost anything: this tests nothing", seed)
		}
		for _, k := range []crashfs.Kind{
			crashfs.OpMkdir, crashfs.OpSyncDir, crashfs.OpCreate, crashfs.OpWrite, crashfs.OpSync, crashfs.OpRename,
		} {
			if !kinds[k] {
				t.Errorf("no power cut came before a call of kind %s", k)
			}
		}
	}
}

// TestFoldersThatAreMadeAgainAreDurable: what is synced in them must not go with the folder.
func TestFoldersThatAreMadeAgainAreDurable(t *testing.T) {
	fsys := crashfs.New()
	m, err := mount.Open(fsys, "/m", fresh)
	if err != nil {
		t.Fatal(err)
	}
	dir := m.SegmentsDir()
	if err := errors.Join(m.Close(), fsys.Remove(dir), fsys.SyncDir("/m")); err != nil {
		t.Fatal(err)
	}
	m, err = mount.Open(fsys, "/m", fresh)
	if err != nil {
		t.Fatal(err)
	}
	f, err := fsys.Create(m.SegmentPath(1))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close(), fsys.SyncDir(dir)); err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(20) {
		image, _ := fsys.Cut(seed)
		if _, err := image.Stat(m.SegmentPath(1)); err != nil {
			t.Fatalf("seed %d: a synced segment is lost: %v", seed, err)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestFailedCallsLeaveAMount fails each write-side call in turn: Open or Update says so, and the next Open is fine.
func TestFailedCallsLeaveAMount(t *testing.T) {
	boom := errors.New("boom")
	for n := 1; ; n++ {
		fsys := crashfs.New()
		failed := false
		fsys.SetHook(func(op crashfs.Op) error {
			if op.N != n {
				return nil
			}
			failed = true
			return boom
		})
		m, err := mount.Open(fsys, "/m", fresh)
		if err == nil {
			before := m.Superblock()
			if err = m.Update(func(s *mount.Superblock) { s.IDCeiling = 55 }); err != nil && m.Superblock() != before {
				t.Errorf("call %d failed, and the change shows", n)
			}
			if e := m.Close(); e != nil {
				t.Error(e)
			}
		}
		if !failed {
			if n < 10 {
				t.Errorf("only %d calls", n)
			}
			return
		}
		if !errors.Is(err, boom) {
			t.Errorf("call %d failed, and the answer was %v", n, err)
		}
		fsys.SetHook(nil)
		again, err := mount.Open(fsys, "/m", fresh)
		if err != nil {
			t.Fatalf("after call %d failed: %v", n, err)
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
}

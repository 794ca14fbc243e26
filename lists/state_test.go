package lists

import (
	"errors"
	"io/fs"
	"slices"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
)

func hashFile(on diskfs.FS) *stateFile {
	return &stateFile{fs: on, dir: "/state", name: "protected", url: "https://example.com/", record: blob.HashSize}
}

func saveHashes(s *stateFile, good time.Time, all []blob.Hash) error {
	return s.save(good, len(all), func(dst []byte, i int) []byte { return append(dst, all[i][:]...) })
}

func loadHashes(s *stateFile) (all []blob.Hash, good time.Time, err error) {
	good, err = s.load(func(int) {}, func(r []byte) { all = append(all, blob.Hash(r)) })
	return all, good, err
}

// After a power cut at any call the state is the old one or the new one.
func TestStateSurvivesPowerCuts(t *testing.T) {
	old, next := someHashes(1, 500), someHashes(2, 900)
	when := time.Unix(1_700_000_000, 0)
	for call := 1; ; call++ {
		disk := crashfs.New()
		if err := saveHashes(hashFile(disk), when, old); err != nil {
			t.Fatal(err)
		}
		n, cut := 0, errors.New("the power is gone")
		disk.SetHook(func(crashfs.Op) error {
			if n++; n >= call {
				return cut
			}
			return nil
		})
		err := saveHashes(hashFile(disk), when.Add(time.Hour), next)
		for seed := range uint64(20) {
			after, _ := disk.Cut(seed)
			got, good, loadErr := loadHashes(hashFile(after))
			isOld := slices.Equal(got, old) && good.Equal(when)
			isNew := slices.Equal(got, next) && good.Equal(when.Add(time.Hour))
			if loadErr != nil || !isOld && !isNew || err == nil && !isNew {
				t.Fatalf("cut at call %d, seed %d: %d hashes of %v, %v; save: %v", call, seed, len(got), good, loadErr, err)
			}
		}
		if err == nil {
			if call < 5 {
				t.Fatalf("a save is %d calls", call-1)
			}
			return
		}
		if !errors.Is(err, cut) {
			t.Fatalf("call %d: %v", call, err)
		}
		// The next save works whatever the failed one left.
		disk.SetHook(nil)
		if err := saveHashes(hashFile(disk), when, old); err != nil {
			t.Fatalf("after a failed call %d: %v", call, err)
		}
	}
}

func TestStateIsNew(t *testing.T) {
	if _, _, err := loadHashes(hashFile(crashfs.New())); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, want fs.ErrNotExist", err)
	}
	s := hashFile(crashfs.New())
	if err := saveHashes(s, time.Time{}, nil); err != nil {
		t.Fatal(err)
	}
	if all, good, err := loadHashes(s); err != nil || len(all) != 0 || !good.IsZero() {
		t.Errorf("%d hashes of %v, %v", len(all), good, err)
	}
}

func TestOutputRecord(t *testing.T) {
	for _, o := range []output{{}, {at: outpoint{tx: txid{1, 31: 2}, out: 1 << 31}, stream: true, sd: blob.Sum(nil)}} {
		r := o.append(nil)
		if len(r) != outputRecord || parseOutput(r) != o {
			t.Errorf("%d bytes, %+v", len(r), parseOutput(r))
		}
	}
}

func FuzzState(f *testing.F) {
	disk := crashfs.New()
	if err := saveHashes(hashFile(disk), time.Unix(1, 0), someHashes(1, 3)); err != nil {
		f.Fatal(err)
	}
	file, err := disk.Open("/state/protected", false)
	if err != nil {
		f.Fatal(err)
	}
	size, _ := file.Size()
	text := make([]byte, size)
	if _, err := file.ReadAt(text, 0); err != nil {
		f.Fatal(err)
	}
	file.Close()
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		disk := crashfs.New()
		if err := disk.Mkdir("/state"); err != nil {
			t.Fatal(err)
		}
		file, err := disk.Create("/state/protected")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteAt(text, 0); err != nil {
			t.Fatal(err)
		}
		file.Close()
		if _, _, err := loadHashes(hashFile(disk)); err != nil && !errors.Is(err, errState) {
			t.Errorf("%v", err)
		}
	})
}

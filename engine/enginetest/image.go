package enginetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
)

// image is a promise as it is saved beside the disk that did not keep it.
type image struct {
	Point    string
	Options  engine.Options // without what is no data: the file system and the logger
	Run      uint64         // the blobs are those of a run:
	Sizes    []int          // these,
	States   map[int]State
	Evicting bool
}

// broken saves a disk whose recovery went wrong, and gives the error that says so and how to repeat it.
func broken(point string, run uint64, p Promise, disk *crashfs.FS, err error) error {
	img := image{Point: point, Options: p.Options, Run: run, States: p.States, Evicting: p.Evicting}
	img.Options.FS, img.Options.Logger = nil, nil
	for _, b := range p.Blobs {
		img.Sizes = append(img.Sizes, int(b.Size()))
	}
	where, serr := img.save(disk)
	if serr != nil {
		return fmt.Errorf("%s: %w; the disk could not be saved: %w", point, err, serr)
	}
	return fmt.Errorf("%s: %w\nrepeat the recovery with\n\tgo test ./engine -run TestCrashPoints -crash-image %s", point, err, where)
}

// save writes the disk and the promise into a new folder.
func (img image) save(disk *crashfs.FS) (string, error) {
	dir, err := os.MkdirTemp("", "prism-crash-")
	if err != nil {
		return "", err
	}
	b, err := json.MarshalIndent(img, "", "  ")
	if err != nil {
		return "", err
	}
	return dir, errors.Join(disk.Save(filepath.Join(dir, "disk")), os.WriteFile(filepath.Join(dir, "model.json"), b, 0o600))
}

// Replay repeats the recovery of a disk that a failed case saved. It returns what went wrong then.
func Replay(ctx context.Context, dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, "model.json"))
	if err != nil {
		return err
	}
	var img image
	if err := json.Unmarshal(b, &img); err != nil {
		return err
	}
	disk, err := crashfs.Load(filepath.Join(dir, "disk"))
	if err != nil {
		return err
	}
	p := Promise{Options: img.Options, States: img.States, Evicting: img.Evicting}
	p.Options.FS, p.Options.Logger = disk, slog.New(slog.DiscardHandler)
	for i, n := range img.Sizes {
		p.Blobs = append(p.Blobs, BlobOf(img.Run, i, n))
	}
	if _, _, err := p.Verify(ctx); err != nil {
		return fmt.Errorf("%s: %w", img.Point, err)
	}
	return nil
}

// copyOf is the same disk again: nothing on it is unsynced, so there is nothing for a cut to lose.
func copyOf(disk *crashfs.FS) *crashfs.FS {
	same, _ := disk.Cut(0)
	return same
}

// verify holds a disk to a promise. Where that goes wrong the disk is saved as it was.
func verify(ctx context.Context, point string, run uint64, p Promise, disk *crashfs.FS) (Verdict, error) {
	p.Options.FS = copyOf(disk)
	_, verdict, err := p.Verify(ctx)
	if err != nil {
		err = broken(point, run, p, disk, err)
	}
	return verdict, err
}

// blobsOf is the blobs that a run chooses from.
func blobsOf(run uint64) []blob.Verified {
	out := make([]blob.Verified, blobCount)
	for i := range out {
		out[i] = Blob(run, i)
	}
	return out
}

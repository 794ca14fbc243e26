package enginetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// verify recovers the disk twice. Each time every blob must be what the model says and the checker must find nothing;
// the second time nothing may be left to do.
func (img image) verify(ctx context.Context, disk diskfs.FS) error {
	first, _, err := img.recover(ctx, disk)
	if err != nil {
		return fmt.Errorf("first recovery: %w", err)
	}
	second, stats, err := img.recover(ctx, disk)
	if err != nil {
		return fmt.Errorf("second recovery: %w", err)
	}
	if stats.RecoveredBlobs != 0 {
		return fmt.Errorf("the second recovery added %d blobs", stats.RecoveredBlobs)
	}
	if !slices.Equal(first, second) {
		return fmt.Errorf("the second recovery found blobs %v, the first %v", second, first)
	}
	return nil
}

// recover opens the disk, compares it with the model, closes it and runs the checker. It returns the numbers of the
// blobs that are there.
func (img image) recover(ctx context.Context, disk diskfs.FS) ([]int, engine.Stats, error) {
	e, err := engine.Open(ctx, Options(disk, img.Sync, img.Evicting, img.Seed))
	if err != nil {
		return nil, engine.Stats{}, err
	}
	found, err := img.compare(ctx, e)
	stats := e.Stats()
	if cerr := e.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, stats, err
	}
	if n := stats.IOErrors["corrupt"] + stats.IOErrors["read"]; n > 0 {
		return nil, stats, fmt.Errorf("%d records turned out to be unreadable after recovery", n)
	}
	report, err := check.Mount(ctx, disk, Dir, check.Options{Payloads: true, Hashes: true})
	if err != nil {
		return nil, stats, fmt.Errorf("check: %w", err)
	}
	if !report.Clean() || !report.GoodStop || report.Pending != 0 {
		return nil, stats, fmt.Errorf("check: %s", report)
	}
	return found, stats, nil
}

// recoveryTime bounds what a recovery of these small disks may take.
const recoveryTime = time.Minute

func (img image) compare(ctx context.Context, e *engine.Engine) ([]int, error) {
	ctx, cancel := context.WithTimeout(ctx, recoveryTime)
	defer cancel()
	if err := e.WaitRecovered(ctx); err != nil {
		return nil, fmt.Errorf("recovery does not end: %w", err)
	}
	var found []int
	for i := range blobCount {
		v := Blob(img.Seed, i)
		there, err := read(ctx, e, v)
		if err != nil {
			return nil, fmt.Errorf("blob %d: %w", i, err)
		}
		switch state := img.States[i]; {
		case there && state == Absent:
			return nil, fmt.Errorf("blob %d (%d bytes, %s) was deleted, or never put, and is there", i, v.Size(), v.Hash().Short())
		case !there && state == Durable && !img.Evicting:
			return nil, fmt.Errorf("blob %d (%d bytes, %s) was durable and is lost", i, v.Size(), v.Hash().Short())
		}
		if there {
			found = append(found, i)
		}
	}
	return found, nil
}

// read says whether a blob is there, and compares its bytes.
func read(ctx context.Context, e *engine.Engine, v blob.Verified) (bool, error) {
	h, err := e.Get(ctx, v.Hash())
	if errors.Is(err, blob.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer h.Release()
	var got bytes.Buffer
	if _, err := h.WriteTo(&got); err != nil {
		return false, err
	}
	if !bytes.Equal(got.Bytes(), v.Bytes()) {
		return false, errors.New("WRONG BYTES")
	}
	return true, nil
}

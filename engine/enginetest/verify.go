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
)

// Promise is what must hold on a disk once the power is back.
type Promise struct {
	Options  engine.Options  // how the disk is opened; its FS is the disk
	Blobs    []blob.Verified // every blob that may be there
	States   map[int]State   // of blobs, by their index; one without a state was never put
	Evicting bool            // a blob that is missing may have been evicted
}

// Verdict counts what was asked of disks, and what was amiss.
type Verdict struct {
	Durable, Lost int // blobs that had to be there, and those of them that were not
	Gone, Back    int // blobs that were deleted or never put, and those of them that were there
	Read, Wrong   int // blobs that were there, and those of them that had other bytes
}

// Add adds the counts of another verdict.
func (v *Verdict) Add(o Verdict) {
	v.Durable += o.Durable
	v.Lost += o.Lost
	v.Gone += o.Gone
	v.Back += o.Back
	v.Read += o.Read
	v.Wrong += o.Wrong
}

// String is the verdict on one line.
func (v Verdict) String() string {
	return fmt.Sprintf("%d of %d durable blobs lost, %d of %d deleted or never put are back, %d of %d that are there have wrong bytes",
		v.Lost, v.Durable, v.Back, v.Gone, v.Wrong, v.Read)
}

// Verify recovers the disk twice. Each time every blob must be what was promised, and the checker must find nothing; the
// second time nothing may be left to do. It returns the indexes of the blobs that are there. The disk ends up cleanly
// closed.
func (p Promise) Verify(ctx context.Context) ([]int, Verdict, error) {
	first, verdict, _, err := p.recover(ctx)
	if err != nil {
		return first, verdict, fmt.Errorf("first recovery: %w", err)
	}
	second, again, stats, err := p.recover(ctx)
	verdict.Add(again)
	switch {
	case err != nil:
		err = fmt.Errorf("second recovery: %w", err)
	case stats.RecoveredBlobs != 0:
		err = fmt.Errorf("the second recovery added %d blobs", stats.RecoveredBlobs)
	case !slices.Equal(first, second) && !(p.Evicting && within(second, first)):
		err = fmt.Errorf("the second recovery found blobs %v, the first %v", second, first)
	}
	return second, verdict, err
}

// recover opens the disk, compares it with the promise, closes it and runs the checker.
func (p Promise) recover(ctx context.Context) ([]int, Verdict, engine.Stats, error) {
	e, err := engine.Open(ctx, p.Options)
	if err != nil {
		return nil, Verdict{}, engine.Stats{}, err
	}
	found, verdict, err := p.compare(ctx, e)
	stats := e.Stats()
	if cerr := e.Close(); err == nil {
		err = cerr
	}
	if n := stats.IOErrors["corrupt"] + stats.IOErrors["read"]; n > 0 && err == nil {
		err = fmt.Errorf("%d records turned out to be unreadable after recovery", n)
	}
	if err != nil {
		return found, verdict, stats, err
	}
	// Without hashes: every blob that there may be was compared, and there is no other.
	report, err := check.Mount(ctx, p.Options.FS, p.Options.Dir, check.Options{Payloads: true})
	switch {
	case err != nil:
		err = fmt.Errorf("check: %w", err)
	case !report.Clean() || !report.GoodStop || report.Pending != 0:
		err = fmt.Errorf("check: %s", report)
	case report.Blobs > int64(len(found)) || report.Blobs < int64(len(found)) && !p.Evicting || report.Read != report.Blobs:
		err = fmt.Errorf("%d blobs were found; check: %s", len(found), report)
	}
	return found, verdict, stats, err
}

// within says whether a holds nothing but what b holds.
func within(a, b []int) bool {
	return !slices.ContainsFunc(a, func(i int) bool { return !slices.Contains(b, i) })
}

// recoveryTime bounds what a recovery of these small disks may take.
const recoveryTime = 3 * time.Minute

// compare looks at every blob. The error is that of the first one that is not as promised; all are counted.
func (p Promise) compare(ctx context.Context, e *engine.Engine) (found []int, v Verdict, first error) {
	ctx, cancel := context.WithTimeout(ctx, recoveryTime)
	defer cancel()
	if err := e.WaitRecovered(ctx); err != nil {
		return nil, v, fmt.Errorf("recovery does not end: %w", err)
	}
	for i, b := range p.Blobs {
		there, err := read(ctx, e, b)
		if there {
			found = append(found, i)
			v.Read++
		}
		switch state := p.States[i]; {
		case err != nil:
			v.Wrong++
		case state == Absent:
			v.Gone++
			if there {
				v.Back++
				err = errors.New("was deleted, or never put, and is there")
			}
		case state == Durable && !p.Evicting:
			v.Durable++
			if !there {
				v.Lost++
				err = errors.New("was durable and is lost")
			}
		}
		if err != nil && first == nil {
			first = fmt.Errorf("blob %d (%d bytes, %s): %w", i, b.Size(), b.Hash().Short(), err)
		}
	}
	return found, v, first
}

// read says whether a blob is there, and compares its bytes.
func read(ctx context.Context, e *engine.Engine, v blob.Verified) (bool, error) {
	h, err := e.Get(ctx, v.Hash())
	if errors.Is(err, blob.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return true, err
	}
	defer h.Release()
	rest := comparer(v.Bytes())
	if _, err := h.WriteTo(&rest); err != nil {
		return true, err
	}
	if len(rest) > 0 {
		return true, errWrong
	}
	return true, nil
}

var errWrong = errors.New("WRONG BYTES")

// comparer takes what a blob should be, and refuses anything else.
type comparer []byte

// Write compares.
func (c *comparer) Write(p []byte) (int, error) {
	if !bytes.HasPrefix(*c, p) {
		return 0, errWrong
	}
	*c = (*c)[len(p):]
	return len(p), nil
}

package syncdb_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/stores/disk"
	"github.com/OdyseeTeam/prism/stores/storetest"
	"github.com/OdyseeTeam/prism/tools/fsck/syncdb"
)

// The environment of a child that repairs, and ends itself at the given wait for the limit as kill -9 does.
const (
	childMount = "PRISM_TEST_SYNCDB_MOUNT"
	childConf  = "PRISM_TEST_SYNCDB_CONF"
	childEnd   = "PRISM_TEST_SYNCDB_END"
)

func TestMain(m *testing.M) {
	mount := os.Getenv(childMount)
	if mount == "" {
		os.Exit(m.Run())
	}
	waits, err := strconv.Atoi(os.Getenv(childEnd))
	if err == nil {
		_, err = syncdb.Run(context.Background(), syncdb.Options{
			Path: mount, Config: os.Getenv(childConf), Repair: true, Limit: &killer{waits},
		})
	}
	if err != nil {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(2)
	}
}

// killer is a limit that kills the process when it is waited for often enough.
type killer struct{ left int }

func (k *killer) WaitN(context.Context, int) error {
	if k.left--; k.left == 0 {
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return nil
}

// TestKilled kills a repair amidst its rows: the next run finds less, and the last one nothing.
func TestKilled(t *testing.T) {
	everywhere(t, func(t *testing.T, b *bed) {
		const n = 3000
		var blobs []blob.Verified
		for i := range n {
			blobs = append(blobs, storetest.Blob(t, uint64(i), 50))
		}
		b.put(blob.KindContent, blobs...)
		// A third has no row, a third has one that says not stored; and rows of blobs that are not there.
		b.note(time.Time{}, blobs[:2*n/3]...)
		var gone []metadata.Blob
		for i := range 900 {
			gone = append(gone, metadata.Blob{Hash: blob.Sum([]byte(strconv.Itoa(i))), Length: 1})
		}
		b.with(func(c metadata.Catalogue) error {
			var hashes []blob.Hash
			for _, v := range blobs[:n/3] {
				hashes = append(hashes, v.Hash())
			}
			return errors.Join(c.Delete(t.Context(), hashes), c.PutBlobs(t.Context(), gone))
		})
		last := total(b.run(false, 0))
		if last != 2*n/3+900 {
			t.Fatalf("%d findings", last)
		}
		// 3,900 blobs are three steps a pass; the second pass has told of a batch by the second of its steps.
		for end := 5; end <= 6; end++ {
			child := exec.CommandContext(t.Context(), os.Args[0])
			child.Env = append(os.Environ(), childMount+"="+b.mount, childConf+"="+b.conf, childEnd+"="+strconv.Itoa(end))
			out, err := child.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("the child was not killed: %v\n%s", err, out)
			}
			left := total(b.run(false, 0))
			if left == 0 || left >= last {
				t.Fatalf("%d findings after a kill, %d before", left, last)
			}
			last = left
		}
		if r := b.run(true, 0); !r.Clean() || total(r) != last {
			t.Errorf("the run that ends it:\n%s", r)
		}
		b.agreed()
	})
}

func total(r syncdb.Report) (n int64) {
	for _, k := range r.Found {
		n += k
	}
	return n
}

// TestCancelled ends a repair by its context.
func TestCancelled(t *testing.T) {
	b := newBed(t, disk.ModeSegments, nil)
	var blobs []blob.Verified
	for i := range 2100 {
		blobs = append(blobs, storetest.Blob(t, uint64(i), 50))
	}
	b.put(blob.KindContent, blobs...)
	b.note(time.Time{})
	ctx, cancel := context.WithCancel(t.Context())
	o := b.options(true, 0)
	o.Progress = func(done, all int64) {
		if done > all {
			t.Errorf("%d of %d", done, all)
		}
		if done > 4000 { // in the second pass
			cancel()
		}
	}
	if _, err := syncdb.Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("a run that was ended: %v", err)
	}
	if n := len(b.rows()); n == 0 || n == len(blobs) {
		t.Errorf("%d rows", n)
	}
	if r := b.run(true, 0); !r.Clean() {
		t.Errorf("the run after it:\n%s", r)
	}
	b.agreed()
}

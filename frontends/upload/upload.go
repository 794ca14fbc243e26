// Package upload puts the blobs of a folder into a store: files that are named by the SHA-384 of their bytes. It also
// makes such files of any file (Pack).
//
// What is stored already is skipped, as a catalogue or the store itself says, so that an upload that was broken off is
// made whole by starting it again; nothing else is remembered. SD blobs go in after the content blobs that were found,
// because whoever sees one expects its stream to be there. A file is deleted, when that was asked for, only once its blob
// is confirmed to be stored.
//
// Memory is bounded whatever the number of files: a batch of names, a buffer of 2 MiB for each worker, and the names of
// SD blobs that wait.
package upload

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/progress"
	"github.com/OdyseeTeam/prism/stores"
)

// Catalogue is what is asked whether blobs are stored; metadata.Catalogue is one.
type Catalogue interface {
	// Stored says for each hash, in the order of the hashes, whether the blob is stored.
	Stored(ctx context.Context, hashes []blob.Hash) ([]bool, error)
}

// Options say what to upload, and where to.
type Options struct {
	Path  string       // a file, a folder, or a folder of folders
	Store stores.Store // stays open

	// Catalogue is asked for batches of blobs; nil: none.
	Catalogue Catalogue
	// AskStore asks the store for each blob of which the catalogue, if there is one, does not know.
	AskStore bool

	Workers int  // blobs uploaded at once; default 1
	Delete  bool // delete files whose blobs are stored
	// Holders are the stores that keep the bytes of what Store takes, which may itself go by a catalogue. Only when each of
	// them has a blob that was stored before may its file be deleted. None: Store is asked.
	Holders []stores.Store
	Meter   *progress.Meter // is told of each blob, and prints what went wrong; nil: none

	// Grace is how long blobs under way may take once ctx has ended; default 20 s.
	Grace time.Duration
	// RetryAfter is the pause before the catalogue is asked again, doubled each time; default 1 s.
	RetryAfter time.Duration
}

// Summary is what became of the files.
type Summary struct {
	Uploaded  int64 // blobs that were put into the store
	SD        int64 // of these, SD blobs
	Bytes     int64 // of the blobs that were put
	Present   int64 // blobs that were stored before
	Blocked   int64 // SD blobs that the store refuses for good; none of them failed
	Hidden    int64 // files passed over because their names start with a dot
	Failed    int64 // blobs that are not stored, and files that are none
	Deleted   int64 // files
	Undeleted int64 // files that should have been deleted and are still there
	Took      time.Duration
}

// Errors that end an upload.
var (
	// ErrFailed: some files failed; each was named.
	ErrFailed = errors.New("not everything was uploaded")
	// ErrStore: the store has failed so often in a row that the upload was stopped.
	ErrStore = errors.New("the store keeps failing")
	// ErrForgets: files would be deleted, and the store may forget their blobs.
	ErrForgets = errors.New("files cannot be deleted after their upload to this store")
)

// maxInRow is how many blobs in a row the store may refuse.
const maxInRow = 20

// maxWaiting is how many SD blobs wait for the end at most; more go in before it.
const maxWaiting = 100_000

// uploader is one Upload under way.
type uploader struct {
	Options
	puts context.Context         // of what is under way: it outlasts the caller's by Grace
	stop context.CancelCauseFunc // ends the handing out of work

	inRow   atomic.Int64 // failures of the store since its last success
	mu      sync.Mutex
	sum     Summary
	waiting []file // SD blobs
}

// Upload puts every blob of the path into the store. When ctx ends, blobs under way are finished, no others are begun,
// and the error is ctx's. Other errors: ErrFailed, ErrStore, ErrForgets, what the catalogue says, and a path that cannot
// be read. The Summary is right with every error.
func Upload(ctx context.Context, o Options) (Summary, error) {
	o.Workers = stores.OrDefault(o.Workers, 1)
	o.Meter = progress.OrSilent(o.Meter)
	o.Grace = stores.OrDefault(o.Grace, 20*time.Second)
	o.RetryAfter = stores.OrDefault(o.RetryAfter, time.Second)
	if why := stores.VolatileOf(o.Store); o.Delete && why != "" {
		return Summary{}, fmt.Errorf("%w: %s", ErrForgets, why)
	}
	begun := time.Now()
	u := &uploader{Options: o}
	ctx, u.stop = context.WithCancelCause(ctx)
	defer u.stop(nil)
	var end context.CancelFunc
	u.puts, end = context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	unhook := context.AfterFunc(ctx, func() {
		late := time.NewTimer(u.Grace)
		defer late.Stop()
		select {
		case <-late.C:
			end()
		case <-u.puts.Done():
		}
	})
	defer unhook()
	err := u.run(ctx)
	u.sum.Took = time.Since(begun)
	if err == nil && u.sum.Failed+u.sum.Undeleted > 0 {
		err = ErrFailed
	}
	return u.sum, err
}

// run works everything off.
func (u *uploader) run(ctx context.Context) error {
	work := make(chan file)
	var workers sync.WaitGroup
	for range u.Workers {
		workers.Go(func() { u.work(work) })
	}
	hand := func(f file) error {
		select {
		case work <- f:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	err := u.feed(ctx, hand)
	close(work)
	workers.Wait()
	if err == nil {
		err = u.lastRound(ctx)
	}
	if err == nil {
		err = context.Cause(ctx)
	}
	return err
}

// feed finds files and hands out those whose blobs are not stored.
func (u *uploader) feed(ctx context.Context, hand func(file) error) error {
	b := &batch{u: u, hand: hand, limit: hasBatch}
	if u.Catalogue != nil {
		b.limit = catalogueBatch
	}
	err := u.find(ctx, func(f file) error { return b.add(ctx, f) })
	if err == nil {
		err = b.flush(ctx)
	}
	u.Meter.Found()
	return err
}

// lastRound puts the SD blobs that wait.
func (u *uploader) lastRound(ctx context.Context) error {
	work := make(chan file)
	var workers sync.WaitGroup
	for range u.Workers {
		workers.Go(func() { u.workSD(work) })
	}
	defer workers.Wait()
	defer close(work)
	for _, f := range u.waiting {
		select {
		case work <- f:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// count changes the summary.
func (u *uploader) count(change func(*Summary)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	change(&u.sum)
}

// fail names a file that failed.
func (u *uploader) fail(path string, err error) {
	u.count(func(s *Summary) { s.Failed++ })
	u.Meter.Println(fmt.Sprintf("failed: %s: %v", path, err))
	u.Meter.Add(1, 0)
}

// storeFailed notes a failure of the store, and ends the upload when there were too many in a row.
func (u *uploader) storeFailed(path string, err error) {
	u.fail(path, err)
	if u.inRow.Add(1) == maxInRow {
		u.stop(fmt.Errorf("%w: %d blobs in a row failed, the last with: %w; see to it, and upload again: what is stored is skipped", ErrStore, maxInRow, err))
	}
}

// Print says what became of the files, in lines for a person.
func (s Summary) String() string {
	text := fmt.Sprintf("uploaded %d blobs (%d of them SD blobs), %s in %v", s.Uploaded, s.SD, progress.Bytes(s.Bytes), s.Took.Round(time.Millisecond))
	if s.Took > 0 && s.Bytes > 0 {
		text += fmt.Sprintf(", %s/s", progress.Bytes(int64(float64(s.Bytes)/s.Took.Seconds())))
	}
	for _, part := range []struct {
		n    int64
		what string
	}{
		{s.Present, "were stored already"},
		{s.Blocked, "are blocked and were not uploaded"},
		{s.Hidden, "hidden files were passed over"},
		{s.Deleted, "files were deleted"},
		{s.Undeleted, "files could not be deleted"},
		{s.Failed, "failed"},
	} {
		if part.n > 0 {
			text += fmt.Sprintf("; %d %s", part.n, part.what)
		}
	}
	return text
}

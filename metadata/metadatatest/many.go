package metadatatest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/metadata"
)

func (s *suite) blocked() {
	h := Hashes("blocked", 3)
	s.ok(s.c.PutBlobs(s.Context(), Blobs(9, noon(), h[0])))
	for range 2 {
		s.ok(s.c.Block(s.Context(), []blob.Hash{h[0], h[1], h[0]}))
		s.open()
		for i, want := range []metadata.Status{{Stored: true, Blocked: true}, {Blocked: true}, {}} {
			if got, err := s.c.Status(s.Context(), h[i]); got != want || err != nil {
				s.Errorf("Status %v, %v, want %v", got, err, want)
			}
		}
	}
	if n, err := s.c.Count(s.Context()); n != 1 || err != nil {
		s.Errorf("Count = %d, %v: what is blocked is not known by that", n, err)
	}
	s.ok(s.c.Delete(s.Context(), h[:1]))
	if got, err := s.c.Status(s.Context(), h[0]); got != (metadata.Status{Blocked: true}) || err != nil {
		s.Errorf("Status after a delete %v, %v", got, err)
	}
}

func (s *suite) largeBatches() {
	const n = 2*metadata.BatchSize + 123
	h := Hashes("many", n)
	s.ok(s.c.PutBlobs(s.Context(), Blobs(9, noon(), h[:n-50]...)))
	s.wantStored(n-50, h...)
	rows := s.rows()
	if len(rows) != n-50 {
		s.Fatalf("Walk gives %d rows, want %d", len(rows), n-50)
	}
	if !slices.IsSortedFunc(rows, func(a, b metadata.Row) int { return bytes.Compare(a.Hash[:], b.Hash[:]) }) {
		s.Error("Walk is out of order")
	}
	accesses := make([]metadata.Access, n)
	for i := range accesses {
		accesses[i] = metadata.Access{Hash: h[i], At: noon().Add(24*time.Hour + time.Duration(i)*time.Second)}
	}
	s.ok(s.c.Touch(s.Context(), accesses))
	at := make(map[blob.Hash]time.Time, n)
	for _, a := range accesses {
		at[a.Hash] = a.At
	}
	for _, r := range s.rows() {
		if !r.Accessed.Equal(at[r.Hash]) {
			s.Fatalf("accessed at %v, want %v", r.Accessed, at[r.Hash])
		}
	}
	s.ok(s.c.Block(s.Context(), h))
	fresh := Hash("blocked later")
	s.ok(s.c.Block(s.Context(), append([]blob.Hash{fresh}, h...))) // all but one are blocked
	for _, blocked := range []blob.Hash{h[0], h[n-1], fresh} {
		if st, err := s.c.Status(s.Context(), blocked); err != nil || !st.Blocked {
			s.Errorf("Status %v, %v", st, err)
		}
	}
	sorted := append([]blob.Hash{fresh}, h...)
	sortHashes(sorted)
	if got := s.blockedFrom(sorted[7]); !slices.Equal(got, sorted[7:]) {
		s.Errorf("Blocked gives %d hashes, want %d in their order", len(got), n+1-7)
	}
	lengths := Blobs(0, time.Time{}, h...)
	want := make(map[blob.Hash]int, n)
	for i := range lengths {
		lengths[i].Length = 1 + i
		want[h[i]] = 1 + i
	}
	s.ok(s.c.SetLengths(s.Context(), lengths))
	rows = s.rows()
	if len(rows) != n-50 {
		s.Errorf("SetLengths made rows: %d, want %d", len(rows), n-50)
	}
	for _, r := range rows {
		if r.Length != want[r.Hash] || !r.Accessed.Equal(at[r.Hash]) {
			s.Fatalf("row %v, want length %d, and the time that was noted", r, want[r.Hash])
		}
	}
	s.ok(s.c.Delete(s.Context(), h[100:]))
	s.wantStored(100, h...)
}

func (s *suite) largeStream() {
	content := Hashes("content", metadata.BatchSize+10)
	sd := Blobs(9, noon(), Hash("sd"))[0]
	s.ok(s.c.PutStream(s.Context(), sd, Stream("large", content...)))
	s.ok(s.c.PutBlobs(s.Context(), Blobs(9, noon(), content[5:]...)))
	s.wantMissing(sd.Hash, true, content[:5]...)
}

func (s *suite) walk() {
	h := Hashes("walk", 9)
	s.ok(s.c.PutBlobs(s.Context(), Blobs(9, noon(), h...)))
	slices.SortFunc(h, func(a, b blob.Hash) int { return bytes.Compare(a[:], b[:]) })
	from := func(from blob.Hash) (got []blob.Hash) {
		s.ok(s.c.Walk(s.Context(), from, func(r metadata.Row) error {
			got = append(got, r.Hash)
			return nil
		}))
		return got
	}
	if got := from(h[4]); !slices.Equal(got, h[4:]) {
		s.Error("Walk from a row that is there")
	}
	between := h[4]
	between[blob.HashSize-1]++
	if got := from(between); !slices.Equal(got, h[5:]) {
		s.Error("Walk from between two rows")
	}
	if got := from(blob.Hash(bytes.Repeat([]byte{0xff}, blob.HashSize))); len(got) != 0 {
		s.Error("Walk from behind all rows")
	}
	stop, n := errors.New("enough"), 0
	err := s.c.Walk(s.Context(), blob.Hash{}, func(metadata.Row) error {
		if n++; n == 3 {
			return stop
		}
		return nil
	})
	if err != stop || n != 3 { //nolint:errorlint // it must be that error itself
		s.Errorf("Walk that is ended: %v after %d rows", err, n)
	}
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	n = 0
	err = s.c.Walk(ctx, blob.Hash{}, func(metadata.Row) error {
		n++
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) || n != 1 {
		s.Errorf("Walk whose context ends: %v after %d rows", err, n)
	}
	// The catalogue may be used meanwhile, and changed.
	s.ok(s.c.Walk(s.Context(), blob.Hash{}, func(r metadata.Row) error {
		if _, err := s.c.Stored(s.Context(), h); err != nil {
			return err
		}
		return s.c.Delete(s.Context(), []blob.Hash{r.Hash})
	}))
	s.wantStored(0, h...)
}

// Writers of the same and of other rows, and readers, beside each other.
func (s *suite) concurrency() {
	const workers, rounds = 8, 5
	shared := Hashes("shared", 30)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			own := Hashes(fmt.Sprint("own", w), 20)
			for r := range rounds {
				err := errors.Join(
					s.c.PutStream(s.Context(), Blobs(9, noon(), shared[r])[0], Stream(fmt.Sprint(r), shared[10:]...)),
					s.c.PutBlobs(s.Context(), Blobs(9, noon(), append(slices.Clone(own), shared[10:]...)...)),
					s.c.Touch(s.Context(), []metadata.Access{{Hash: shared[w]}, {Hash: own[0]}, {Hash: shared[11]}}),
					s.c.Block(s.Context(), []blob.Hash{shared[r], own[r]}),
					s.c.Delete(s.Context(), own[:3]),
				)
				if err != nil {
					s.Error(err)
					return
				}
				if stored, err := s.c.Stored(s.Context(), own); err != nil || slices.Index(stored, true) != 3 {
					s.Errorf("own blobs that are stored begin at %d, %v", slices.Index(stored, true), err)
				}
			}
		})
	}
	wg.Wait()
	s.wantStored(rounds, slices.Concat(shared[:rounds], shared[rounds:10])...)
	s.wantStored(20, shared[10:]...)
	for _, sd := range shared[:rounds] {
		s.wantMissing(sd, true)
	}
	want := int64(rounds + 20 + workers*17)
	if n, err := s.c.Count(s.Context()); n != want || err != nil {
		s.Errorf("Count = %d, %v, want %d", n, err, want)
	}
}

// every calls each method once with ctx.
func every(ctx context.Context, c metadata.Catalogue) map[string]error {
	h := Hash("every")
	errs := map[string]error{}
	_, errs["Stored"] = c.Stored(ctx, []blob.Hash{h})
	_, errs["Status"] = c.Status(ctx, h)
	errs["PutBlobs"] = c.PutBlobs(ctx, Blobs(9, noon(), h))
	errs["PutStream"] = c.PutStream(ctx, Blobs(9, noon(), h)[0], Stream("every", Hash("content")))
	errs["SetStream"] = c.SetStream(ctx, Blobs(9, noon(), h)[0], Stream("every", Hash("content")))
	_, _, errs["Missing"] = c.Missing(ctx, h)
	_, errs["Links"] = c.Links(ctx, h, Stream("every").StreamHash)
	_, errs["HaveStreams"] = c.HaveStreams(ctx, []blob.Hash{h})
	errs["Touch"] = c.Touch(ctx, []metadata.Access{{Hash: h}})
	errs["Delete"] = c.Delete(ctx, []blob.Hash{h})
	errs["Block"] = c.Block(ctx, []blob.Hash{h})
	errs["Blocked"] = c.Blocked(ctx, blob.Hash{}, func(blob.Hash) error { return nil })
	errs["SetLengths"] = c.SetLengths(ctx, Blobs(9, noon(), h))
	_, errs["Count"] = c.Count(ctx)
	errs["Walk"] = c.Walk(ctx, blob.Hash{}, func(metadata.Row) error { return nil })
	return errs
}

// Every calls each method once with ctx and demands that each fails with all of want.
func Every(t *testing.T, ctx context.Context, c metadata.Catalogue, want ...error) { //nolint:revive // as in the standard library's tests
	t.Helper()
	for name, err := range every(ctx, c) {
		for _, w := range want {
			if !errors.Is(err, w) {
				t.Errorf("%s: %v, want %v", name, err, w)
			}
		}
	}
}

func (s *suite) contexts() {
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	Every(s.T, ctx, s.c, context.Canceled)
	for name, err := range every(ctx, s.c) {
		if errors.Is(err, metadata.ErrUnavailable) {
			s.Errorf("%s: %v: the caller left, which says nothing about the catalogue", name, err)
		}
	}
	late, cancel := context.WithDeadline(s.Context(), time.Now().Add(-time.Second))
	defer cancel()
	Every(s.T, late, s.c, context.DeadlineExceeded, metadata.ErrUnavailable)
	if n, err := s.c.Count(s.Context()); n != 0 || err != nil {
		s.Errorf("Count = %d, %v: something was written", n, err)
	}
	for name, err := range every(s.Context(), s.c) {
		if err != nil {
			s.Errorf("%s, afterwards: %v", name, err)
		}
	}
}

// Close waits for calls under way, ends what comes later, and can be repeated.
func (s *suite) close() {
	h := Hashes("close", 200)
	s.ok(s.c.PutBlobs(s.Context(), Blobs(9, noon(), h[0])))
	const workers = 8
	var wg sync.WaitGroup
	ready := make(chan struct{}, workers)
	for i := range workers {
		wg.Go(func() {
			for n := 0; ; n++ {
				err := s.c.PutBlobs(s.Context(), Blobs(9, noon(), h[(i+n*workers)%len(h)]))
				if errors.Is(err, metadata.ErrUnavailable) {
					return // it is closed, and so is all that comes later
				}
				if err != nil {
					s.Error(err)
				}
				if n == 3 {
					ready <- struct{}{}
				}
			}
		})
	}
	for range workers {
		<-ready
	}
	s.ok(s.c.Close())
	s.ok(s.c.Close())
	wg.Wait()
	Every(s.T, s.Context(), s.c, metadata.ErrUnavailable)
	if _, err := s.c.Stored(s.Context(), nil); !errors.Is(err, metadata.ErrUnavailable) {
		s.Errorf("Stored of nothing: %v", err)
	}
	if err := s.c.Delete(s.Context(), nil); !errors.Is(err, metadata.ErrUnavailable) {
		s.Errorf("Delete of nothing: %v", err)
	}
	s.open()
	s.wantStored(1, h[0])
}

package proxieds3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/internal/testbed"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/caching"
	"github.com/OdyseeTeam/prism/stores/mem"
	"github.com/OdyseeTeam/prism/stores/noop"
	"github.com/OdyseeTeam/prism/stores/proxieds3"
	"github.com/OdyseeTeam/prism/stores/s3"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

// chain is a cache in front of a bucket that has a store of its own for readers.
func chain(t *testing.T, server *testbed.S3Server, bucket string, cache stores.Store) *caching.Store {
	t.Helper()
	o := s3.Options{
		AccessKey: server.AccessKey, SecretKey: server.SecretKey, Bucket: bucket, Endpoint: server.Endpoint,
		DialTimeout: 2 * time.Second, HeaderTimeout: 5 * time.Second, IdleTimeout: 5 * time.Second,
	}
	var both [2]*s3.Store
	for i := range both {
		var err error
		if both[i], err = s3.New(o); err != nil {
			t.Fatal(err)
		}
	}
	s := caching.New(caching.Options{
		Component: "chain", Cache: cache, Origin: proxieds3.New(proxieds3.Options{Writer: both[0], Reader: both[1]}),
	})
	t.Cleanup(func() {
		if n := s.Pinned(); n != 0 {
			t.Errorf("%d handles are pinned", n)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// read gets v and compares it. An error of the store is never more than a minute away.
func read(ctx context.Context, s stores.Store, v blob.Verified) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	handle, err := s.Get(ctx, v.Hash())
	if err != nil {
		return err
	}
	defer handle.Release()
	var got bytes.Buffer
	if _, err := handle.WriteTo(&got); err != nil {
		return err
	}
	if !bytes.Equal(got.Bytes(), v.Bytes()) {
		return errors.New("other bytes came")
	}
	return nil
}

// everywhere reads each blob from several goroutines at once and gives the errors.
func everywhere(ctx context.Context, s stores.Store, blobs []blob.Verified) (errs []error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 4 {
		for _, v := range blobs {
			wg.Go(func() {
				if err := read(ctx, s, v); err != nil {
					mu.Lock()
					errs = append(errs, fmt.Errorf("%d bytes: %w", v.Size(), err))
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	return errs
}

// An edge in front of a bucket: blobs come through it once, it serves what it has through an outage of the bucket, says
// of the rest that it cannot tell, and goes on afterwards by itself.
func TestChain(t *testing.T) {
	leaktest.Check(t)
	server := testbed.S3(t)
	bucket := server.Bucket()
	uploads := chain(t, server, bucket, noop.New(noop.Options{}))
	var blobs []blob.Verified
	for i := range 12 {
		v := storetest.Blob(t, uint64(i), 1+i*i*14_000)
		blobs = append(blobs, v)
		if err := uploads.Put(t.Context(), v, blob.KindContent); err != nil {
			t.Fatal(err)
		}
	}
	seen, unseen := blobs[:6], blobs[6:]
	edge := chain(t, server, bucket, mem.New(mem.Options{}))
	if errs := everywhere(t.Context(), edge, seen); errs != nil {
		t.Fatal(errors.Join(errs...))
	}
	if n := edge.Stats().Fills; n != int64(len(seen)) {
		t.Errorf("%d fills of %d blobs", n, len(seen))
	}

	server.Stop()
	if errs := everywhere(t.Context(), edge, seen); errs != nil {
		t.Errorf("the cache does not serve through an outage: %v", errors.Join(errs...))
	}
	lost := append([]blob.Verified{storetest.Blob(t, 99, 1000)}, unseen...) // the first was never uploaded
	errs := everywhere(t.Context(), edge, lost)
	if len(errs) != 4*len(lost) {
		t.Errorf("%d of %d reads failed during the outage", len(errs), 4*len(lost))
	}
	for _, err := range errs {
		if !errors.Is(err, blob.ErrUnavailable) || errors.Is(err, blob.ErrNotFound) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("during the outage: %v", err)
		}
	}
	if err := uploads.Put(t.Context(), lost[0], blob.KindContent); !errors.Is(err, blob.ErrUnavailable) {
		t.Errorf("Put during the outage: %v", err)
	}

	server.Start()
	for _, v := range unseen {
		recovers(t, func() error { return read(t.Context(), edge, v) })
	}
	if err := read(t.Context(), edge, lost[0]); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("what was never uploaded: %v", err)
	}
	recovers(t, func() error { return uploads.Put(t.Context(), lost[0], blob.KindContent) })
}

// While the bucket goes and comes, whoever reads gets the right bytes or an error that does not say "not found".
func TestOutageAmongReads(t *testing.T) {
	leaktest.Check(t)
	server := testbed.S3(t)
	s := chain(t, server, server.Bucket(), noop.New(noop.Options{}))
	var blobs []blob.Verified
	for i := range 4 {
		v := storetest.Blob(t, uint64(i), blob.MaxSize-i)
		blobs = append(blobs, v)
		if err := s.Put(t.Context(), v, blob.KindContent); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	var stop atomic.Bool
	var good, bad atomic.Int64
	for _, v := range blobs {
		wg.Go(func() {
			for !stop.Load() {
				switch err := read(t.Context(), s, v); {
				case err == nil:
					good.Add(1)
				case errors.Is(err, blob.ErrUnavailable) && !errors.Is(err, blob.ErrNotFound):
					bad.Add(1)
				default:
					t.Errorf("a read among outages: %v", err)
					return
				}
			}
		})
	}
	for range 3 {
		n := good.Load()
		recovers(t, func() error { return atLeast(&good, n+4) })
		n = bad.Load()
		server.Stop()
		recovers(t, func() error { return atLeast(&bad, n+4) })
		server.Start()
	}
	n := good.Load()
	recovers(t, func() error { return atLeast(&good, n+4) })
	stop.Store(true)
	wg.Wait()
}

func atLeast(n *atomic.Int64, want int64) error {
	if got := n.Load(); got < want {
		return fmt.Errorf("%d, want %d", got, want)
	}
	return nil
}

// recovers calls f until it is nil, for a minute.
func recovers(t *testing.T, f func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

package caching_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/caching"
	"github.com/OdyseeTeam/prism/stores/http"
	"github.com/OdyseeTeam/prism/stores/mem"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

// hooked is a mem store that counts its calls and lets a test come between. A hook that gives an error answers the
// call with it.
type hooked struct {
	*mem.Store
	gets, puts, hases   atomic.Int64
	onGet, onHas, onDel func(ctx context.Context, h blob.Hash) error
	onPut               func(ctx context.Context, v blob.Verified, k blob.Kind) error
	afterGet            func()
}

func newHooked() *hooked { return &hooked{Store: mem.New(mem.Options{Name: "hooked"})} }

func (s *hooked) Get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	s.gets.Add(1)
	if s.onGet != nil {
		if err := s.onGet(ctx, h); err != nil {
			return nil, err
		}
	}
	handle, err := s.Store.Get(ctx, h)
	if s.afterGet != nil {
		s.afterGet()
	}
	return handle, err
}

func (s *hooked) Has(ctx context.Context, h blob.Hash) (bool, error) {
	s.hases.Add(1)
	if s.onHas != nil {
		if err := s.onHas(ctx, h); err != nil {
			return false, err
		}
	}
	return s.Store.Has(ctx, h)
}

func (s *hooked) Put(ctx context.Context, v blob.Verified, k blob.Kind) error {
	s.puts.Add(1)
	if s.onPut != nil {
		if err := s.onPut(ctx, v, k); err != nil {
			return err
		}
	}
	return s.Store.Put(ctx, v, k)
}

func (s *hooked) Delete(ctx context.Context, h blob.Hash) error {
	if s.onDel != nil {
		if err := s.onDel(ctx, h); err != nil {
			return err
		}
	}
	return s.Store.Delete(ctx, h)
}

// holdFirstGet makes the next Get wait, once it has its answer, until gate is closed; the others pass.
func (s *hooked) holdFirstGet() (reached <-chan struct{}, gate chan struct{}) {
	at, gate := make(chan struct{}), make(chan struct{})
	var held atomic.Bool
	s.afterGet = func() {
		if !held.Swap(true) {
			close(at)
			<-gate
		}
	}
	return at, gate
}

// errDisk is what a dead disk answers.
var errDisk = fmt.Errorf("%w: input/output error", blob.ErrUnavailable)

// kill makes every call of the store fail.
func (s *hooked) kill() {
	s.onGet = func(context.Context, blob.Hash) error { return errDisk }
	s.onHas, s.onDel = s.onGet, s.onGet
	s.onPut = func(context.Context, blob.Verified, blob.Kind) error { return errDisk }
}

// newStore makes a store that must end without pinned handles and without fill buffers that are out.
func newStore(t *testing.T, o caching.Options) *caching.Store {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := caching.New(o)
	t.Cleanup(func() { checkIdle(t, s) })
	return s
}

// checkIdle closes a store and demands that nothing of it is left.
func checkIdle(t *testing.T, s *caching.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if n := s.Pinned(); n != 0 {
		t.Errorf("%d handles are pinned", n)
	}
	if st := s.Stats(); st.FillBuffers != 0 || st.Waiting != 0 || st.OriginInFlight != 0 {
		t.Errorf("left behind: %d buffers, %d waiting, %d in flight", st.FillBuffers, st.Waiting, st.OriginInFlight)
	}
}

// overHTTP makes a store that fills a mem cache from a new HTTP origin.
func overHTTP(t *testing.T, o caching.Options) (*caching.Store, *storetest.Origin) {
	t.Helper()
	origin := storetest.NewOrigin(t)
	var err error
	o.Origin, err = http.New(http.Options{
		Name: "o", Endpoint: origin.URL,
		HeaderTimeout: 10 * time.Second, IdleTimeout: 10 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	if o.Cache == nil {
		o.Cache = mem.New(mem.Options{})
	}
	return newStore(t, o), origin
}

// read gets a blob's bytes.
func read(ctx context.Context, s stores.Store, h blob.Hash) ([]byte, error) {
	handle, err := s.Get(ctx, h)
	if err != nil {
		return nil, err
	}
	defer handle.Release()
	var buf bytes.Buffer
	_, err = handle.WriteTo(&buf)
	return buf.Bytes(), err
}

// wantBytes demands the blob from a store.
func wantBytes(t *testing.T, s stores.Store, v blob.Verified) {
	t.Helper()
	if got, err := read(t.Context(), s, v.Hash()); err != nil || !bytes.Equal(got, v.Bytes()) {
		t.Errorf("Get: %v, or other bytes", err)
	}
}

func wantMiss(t *testing.T, s stores.Store, h blob.Hash) {
	t.Helper()
	if _, err := read(t.Context(), s, h); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Get: %v, want ErrNotFound", err)
	}
}

func mustPut(t *testing.T, s stores.Store, v blob.Verified) {
	t.Helper()
	if err := s.Put(t.Context(), v, blob.KindContent); err != nil {
		t.Fatal(err)
	}
}

// eventually polls until ok, or fails.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// lines counts the lines of a log.
type lines struct{ n atomic.Int64 }

func (l *lines) Write(p []byte) (int, error) {
	l.n.Add(int64(bytes.Count(p, []byte("\n"))))
	return len(p), nil
}

var _ io.Writer = (*lines)(nil)

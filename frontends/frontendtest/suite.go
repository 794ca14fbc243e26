package frontendtest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/leaktest"
)

// Run asks everything that the protocol knows.
func Run(t *testing.T, f Front) {
	for _, c := range []struct {
		name    string
		run     func(*testing.T, Front)
		unknown bool
	}{
		{"present", present, false},
		{"missing", missing, false},
		{"malformed", malformed, false},
		{"protected", protected, f.NoGate},
		{"concurrent", concurrent, false},
		{"slow reader", slowReader, f.Stall == nil},
		{"store that fails", failing, false},
		{"store that panics", panicking, false},
		{"drain", drain, false},
	} {
		if c.unknown {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			leaktest.Check(t)
			leaktest.FDs(t)
			c.run(t, f)
		})
	}
}

// blobOf makes a blob of a size.
func blobOf(t *testing.T, seed uint64, size int) blob.Verified {
	t.Helper()
	data := make([]byte, size)
	r := rand.New(rand.NewPCG(seed, uint64(size)))
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	v, err := blob.Verify(blob.Sum(data), data)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// filled is a store with blobs.
func filled(t *testing.T, sizes ...int) (*store, []blob.Verified) {
	t.Helper()
	s := newStore()
	var all []blob.Verified
	for i, size := range sizes {
		v := blobOf(t, uint64(i), size)
		if err := s.Put(t.Context(), v, blob.KindContent); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	t.Cleanup(func() {
		Until(t, "every handle to be released", func() bool { return s.Pinned() == 0 })
	})
	return s, all
}

// mustFind demands a blob.
func (r *running) mustFind(v blob.Verified) {
	r.t.Helper()
	got, body := r.ask(v.Hash().String())
	if got != Found || !r.front.NoBodies && !bytes.Equal(body, v.Bytes()) {
		r.t.Errorf("a blob of %d bytes: %v, %d bytes", v.Size(), got, len(body))
	}
}

// must demands a verdict that comes without bytes.
func (r *running) must(what, name string, want Verdict) {
	r.t.Helper()
	got, body := r.ask(name)
	if got != want || len(body) != 0 {
		r.t.Errorf("%s: %v with %d bytes, want %v", what, got, len(body), want)
	}
}

func present(t *testing.T, f Front) {
	s, blobs := filled(t, 1, 4095, 4096, 4097, 65536, 1<<20, blob.MaxSize)
	r := start(t, f, Options{Store: s})
	for _, v := range blobs {
		r.mustFind(v)
	}
}

func missing(t *testing.T, f Front) {
	s, blobs := filled(t, 100)
	r := start(t, f, Options{Store: s})
	for i := range 5 {
		r.must("a missing blob", blob.Sum([]byte{byte(i)}).String(), Missing)
	}
	r.mustFind(blobs[0])
}

func malformed(t *testing.T, f Front) {
	s, blobs := filled(t, 100)
	r := start(t, f, Options{Store: s})
	good := blobs[0].Hash().String()
	want := Refused
	if f.RefusesByMissing {
		want = Missing
	}
	for _, name := range []string{
		"", "0", good[1:], good + "0", strings.ToUpper(good), "../" + good[3:], good[:95] + "g", good[:94] + "\u00e9", strings.Repeat("0", 5000),
	} {
		r.must(fmt.Sprintf("the name %.20q", name), name, want)
	}
	if n := s.Calls(); n != 0 {
		t.Errorf("the store was asked %d times about what names no blob", n)
	}
	r.mustFind(blobs[0])
}

func protected(t *testing.T, f Front) {
	s, blobs := filled(t, 5000, 5001)
	r := start(t, f, Options{Store: s, Gate: gate{blobs[0].Hash()}})
	want := Protected
	if f.HidesProtected {
		want = Missing
	}
	r.must("a protected blob", blobs[0].Hash().String(), want)
	r.mustFind(blobs[1])
}

func concurrent(t *testing.T, f Front) {
	s, blobs := filled(t, 1, 100, 5000, 300_000, blob.MaxSize)
	r := start(t, f, Options{Store: s})
	gone := blob.Sum([]byte("gone")).String()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 6 {
				if (i+j)%6 == 5 {
					r.must("a missing blob among others", gone, Missing)
				} else {
					r.mustFind(blobs[(i+j)%6])
				}
			}
		})
	}
	wg.Wait()
}

// slowReader has clients that read nothing: the others are served meanwhile, and those are cut.
func slowReader(t *testing.T, f Front) {
	s, blobs := filled(t, blob.MaxSize, 5000)
	r := start(t, f, Options{Store: s, MinRate: 1 << 20, RateWindow: 500 * time.Millisecond})
	for range 8 {
		c, err := f.Stall(t.Context(), r.addr, blobs[0].Hash().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	Until(t, "the stalled answers to begin", func() bool { return s.Calls() >= 8 })
	r.mustFind(blobs[1])
	r.mustFind(blobs[0])
	Until(t, "those who read nothing to be cut", func() bool { return s.Pinned() == 0 })
}

// failing has a store that cannot tell: that is no answer about the blob.
func failing(t *testing.T, f Front) {
	s, blobs := filled(t, 5000, 5001)
	s.First(func(_ context.Context, h blob.Hash) error {
		if h == blobs[0].Hash() {
			return fmt.Errorf("the disk is gone: %w", blob.ErrUnavailable)
		}
		return nil
	})
	r := start(t, f, Options{Store: s})
	r.must("a blob of which the store cannot tell", blobs[0].Hash().String(), Failed)
	r.mustFind(blobs[1])
}

// panicking has a store with a bug: it costs the client its connection, and nobody else anything.
func panicking(t *testing.T, f Front) {
	s, blobs := filled(t, 5000, 5001)
	s.First(func(_ context.Context, h blob.Hash) error {
		if h == blobs[0].Hash() {
			panic("a bug in a store")
		}
		return nil
	})
	r := start(t, f, Options{Store: s})
	r.must("a blob at which the store panics", blobs[0].Hash().String(), Failed)
	r.mustFind(blobs[1])
}

// drain ends the server while it works on a request: that one is answered whole, and nobody else gets in.
func drain(t *testing.T, f Front) {
	s, blobs := filled(t, 70_000)
	reached, gate := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.First(func(_ context.Context, h blob.Hash) error {
		if h == blobs[0].Hash() {
			once.Do(func() { close(reached) })
			<-gate
		}
		return nil
	})
	r := start(t, f, Options{Store: s})
	var wg sync.WaitGroup
	wg.Go(func() { r.mustFind(blobs[0]) })
	<-reached
	r.Stop()
	// The drain has begun once newcomers are turned away.
	Until(t, "the server to turn newcomers away", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		got, _ := f.Ask(ctx, r.addr, blob.Sum(nil).String())
		return got == Failed
	})
	close(gate)
	wg.Wait()
	if err := r.Drain(); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

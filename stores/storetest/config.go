// Package storetest holds every kind of store to the contract in stores/store.go. A kind's conformance test is one
// call:
//
//	func TestConformance(t *testing.T) {
//		storetest.Run(t, storetest.Config{Open: func(t *testing.T) stores.Store { return mem.New(mem.Options{}) }})
//	}
//
// Each behaviour is a subtest over a fresh store. After each one every handle must have been released and every
// goroutine must have ended. The package also has what such tests are made of: blobs with known bytes (Blob) and a
// kernel sink over a real TCP connection (TCPSink). It is imported by tests only.
package storetest

import (
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/stores"
)

// Config says how to make a store of the kind under test, and what the kind does not promise. One of Open and OpenDir
// is required.
type Config struct {
	// Open makes a new, empty store. The suite closes it.
	Open func(t *testing.T) stores.Store

	// OpenDir is for kinds whose blobs survive Close: it opens the store in dir, which is empty at first and is given
	// again to re-open the same store. Open is not used then.
	OpenDir func(t *testing.T, dir string) stores.Store

	// ReadOnly: Put and Delete answer errors.ErrUnsupported. Seed is required then.
	ReadOnly bool

	// Seed brings a blob to where the newest store finds it, instead of Put. It is called from
	// several goroutines at once.
	Seed func(t *testing.T, s stores.Store, v blob.Verified, kind blob.Kind)

	// Lossy: the store may forget a blob at any time. What it does answer must still be right.
	Lossy bool
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	for _, b := range []struct {
		name string
		run  func(*suite)
		skip bool
	}{
		{"missing", (*suite).missing, false},
		{"put, get, has, delete", (*suite).lifeOfABlob, cfg.ReadOnly},
		{"put twice", (*suite).putTwice, cfg.ReadOnly},
		{"sizes", (*suite).sizes, false},
		{"sd blobs", (*suite).sdBlobs, false},
		{"the caller's slice is not kept", (*suite).callersSlice, cfg.ReadOnly},
		{"a Verified of nothing is refused", (*suite).zeroVerified, false},
		{"read only", (*suite).readOnly, !cfg.ReadOnly},
		{"handle: ReadAt", (*suite).handleReadAt, false},
		{"handle: WriteTo", (*suite).handleWriteTo, false},
		{"handle: SendTo", (*suite).handleSendTo, false},
		{"handle: errors of the sink", (*suite).handleSinkErrors, false},
		{"handle: concurrent reads", (*suite).handleConcurrent, false},
		{"handle: released twice", (*suite).handleReleasedTwice, false},
		{"handle: outlives its context", (*suite).handleOutlivesContext, false},
		{"handle: outlives Delete", (*suite).handleOutlivesDelete, cfg.ReadOnly},
		{"handle: outlives Close", (*suite).handleOutlivesClose, false},
		{"many keys at once", (*suite).manyKeys, false},
		{"one key at once", (*suite).oneKey, cfg.ReadOnly},
		{"Close among calls", (*suite).closeAmongCalls, false},
		{"contexts that ended", (*suite).endedContexts, false},
		{"use after Close", (*suite).afterClose, false},
		{"trace", (*suite).trace, false},
		{"re-open", (*suite).reopen, cfg.OpenDir == nil},
	} {
		if b.skip {
			continue
		}
		t.Run(b.name, func(t *testing.T) {
			s := &suite{T: t, cfg: cfg}
			s.open()
			b.run(s)
		})
	}
}

// suite is one behaviour under test.
type suite struct {
	*testing.T
	cfg   Config
	dir   string
	store stores.Store
}

// open makes the store of this behaviour, or opens it again.
func (s *suite) open() {
	s.Helper()
	if s.store == nil {
		leaktest.Check(s.T)
	}
	if s.cfg.OpenDir != nil {
		if s.dir == "" {
			s.dir = s.TempDir()
		}
		s.store = s.cfg.OpenDir(s.T, s.dir)
	} else {
		s.store = s.cfg.Open(s.T)
	}
	opened := s.store
	s.Cleanup(func() {
		if n := stillPinned(opened); n != 0 {
			s.Errorf("%d handles were not released", n)
		}
		if err := opened.Close(); err != nil {
			s.Errorf("Close: %v", err)
		}
	})
}

// stillPinned is the number of handles that are not released, and stay so: a store may read by itself for a moment.
func stillPinned(s stores.Store) int {
	p, ok := stores.As[stores.Pinner](s)
	if !ok {
		return 0
	}
	for end := time.Now().Add(10 * time.Second); p.Pinned() != 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	return p.Pinned()
}

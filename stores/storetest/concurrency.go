package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/OdyseeTeam/prism/blob"
)

// manyKeys reads and writes different blobs side by side.
func (s *suite) manyKeys() {
	const goroutines, each = 8, 6
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				v := Blob(s, uint64(g*each+i), 1+(g*each+i)*3001)
				if s.cfg.Seed != nil {
					s.cfg.Seed(s.T, s.store, v, blob.KindContent)
				} else if err := s.store.Put(s.Context(), v, blob.KindContent); err != nil {
					s.Errorf("Put: %v", err)
					return
				}
				if err := s.readBack(v); err != nil && !(s.cfg.Lossy && errors.Is(err, blob.ErrNotFound)) {
					s.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i := range goroutines * each {
		s.wantHit(Blob(s, uint64(i), 1+i*3001))
	}
}

// readBack gets v and compares it.
func (s *suite) readBack(v blob.Verified) error {
	h, err := s.store.Get(s.Context(), v.Hash())
	if err != nil {
		return fmt.Errorf("Get of %d bytes: %w", v.Size(), err)
	}
	defer h.Release()
	if err := sameBytes(h, v.Bytes()); err != nil {
		return fmt.Errorf("blob of %d bytes: %w", v.Size(), err)
	}
	return nil
}

// oneKey puts, gets, asks for and deletes the same few blobs from many goroutines. Whatever the order, a Get gives the
// right bytes or a miss, and what the goroutines leave behind is a store that works.
func (s *suite) oneKey() {
	const goroutines, steps = 8, 60
	keys := []blob.Verified{Blob(s, 1, 1), Blob(s, 2, 5000), Blob(s, 3, 100_000)}
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 1))
			for range steps {
				v := keys[rng.IntN(len(keys))]
				if err := s.anyCall(rng.IntN(8), v); err != nil {
					s.Errorf("goroutine %d: %v", g, err)
				}
			}
		})
	}
	wg.Wait()
	for _, v := range keys {
		if err := s.store.Delete(s.Context(), v.Hash()); err != nil {
			s.Fatalf("Delete: %v", err)
		}
		s.wantMiss(v.Hash())
		s.put(v, blob.KindContent)
		s.wantHit(v)
	}
}

// anyCall makes one call that must succeed or miss.
func (s *suite) anyCall(which int, v blob.Verified) error {
	var err error
	switch which {
	case 0, 1:
		err = s.store.Put(s.Context(), v, blob.KindContent)
	case 2:
		err = s.store.Delete(s.Context(), v.Hash())
	case 3:
		_, err = s.store.Has(s.Context(), v.Hash())
	default:
		if err = s.readBack(v); errors.Is(err, blob.ErrNotFound) {
			err = nil
		}
	}
	return err
}

// closeAmongCalls closes the store under load: every call answers well or with ErrUnavailable, and handles stay good.
func (s *suite) closeAmongCalls() {
	keys := []blob.Verified{Blob(s, 1, 5000), Blob(s, 2, 100_000)}
	for _, v := range keys {
		s.put(v, blob.KindContent)
	}
	var wg, running sync.WaitGroup
	for g := range 6 {
		running.Add(1)
		wg.Go(func() {
			v := keys[g%len(keys)]
			for i := 0; ; i++ {
				err := s.readBack(v)
				if g == 5 && err == nil && !s.cfg.ReadOnly {
					err = s.store.Put(s.Context(), v, blob.KindContent)
				}
				if i == 0 {
					running.Done()
				}
				switch {
				case err == nil, s.cfg.Lossy && errors.Is(err, blob.ErrNotFound):
				case errors.Is(err, blob.ErrUnavailable):
					return
				default:
					s.Errorf("under Close: %v", err)
					return
				}
			}
		})
	}
	running.Wait()
	if err := s.store.Close(); err != nil {
		s.Errorf("Close: %v", err)
	}
	wg.Wait()
}

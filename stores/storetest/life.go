package storetest

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/OdyseeTeam/prism/blob"
)

// put stores v and demands success.
func (s *suite) put(v blob.Verified, kind blob.Kind) {
	s.Helper()
	if s.cfg.Seed != nil {
		s.cfg.Seed(s.T, s.store, v, kind)
		return
	}
	if err := s.store.Put(s.Context(), v, kind); err != nil {
		s.Fatalf("Put of %d bytes: %v", v.Size(), err)
	}
}

// get pins v, or gives nil where a lossy store forgot it.
func (s *suite) get(v blob.Verified) blob.Handle {
	s.Helper()
	h, err := s.store.Get(s.Context(), v.Hash())
	if s.cfg.Lossy && errors.Is(err, blob.ErrNotFound) {
		return nil
	}
	if err != nil {
		s.Fatalf("Get of %d bytes: %v", v.Size(), err)
	}
	return h
}

// wantHit demands that v is there, byte for byte, and that Has says so.
func (s *suite) wantHit(v blob.Verified) {
	s.Helper()
	has, err := s.store.Has(s.Context(), v.Hash())
	if err != nil || !has && !s.cfg.Lossy {
		s.Fatalf("Has of a blob of %d bytes = %v, %v", v.Size(), has, err)
	}
	h := s.get(v)
	if h == nil {
		return
	}
	defer h.Release()
	if err := sameBytes(h, v.Bytes()); err != nil {
		s.Fatalf("blob of %d bytes: %v", v.Size(), err)
	}
}

// wantMiss demands that the blob is not there.
func (s *suite) wantMiss(name blob.Hash) {
	s.Helper()
	if has, err := s.store.Has(s.Context(), name); has || err != nil {
		s.Fatalf("Has of a missing blob = %v, %v", has, err)
	}
	h, err := s.store.Get(s.Context(), name)
	if err == nil {
		h.Release()
	}
	if !errors.Is(err, blob.ErrNotFound) {
		s.Fatalf("Get of a missing blob: %v, want ErrNotFound", err)
	}
	if h != nil {
		s.Fatal("Get of a missing blob gave a handle beside the error")
	}
}

// sameBytes compares all that a handle says with want.
func sameBytes(h blob.Handle, want []byte) error {
	if h.Size() != int64(len(want)) {
		return errors.New("Size differs")
	}
	got := make([]byte, len(want))
	if n, err := h.ReadAt(got, 0); n != len(want) || err != nil && err != io.EOF {
		return errors.Join(errors.New("ReadAt of the whole blob fell short"), err)
	}
	if !bytes.Equal(got, want) {
		return errors.New("the bytes differ")
	}
	return nil
}

func (s *suite) missing() {
	for seed := range uint64(3) {
		s.wantMiss(Blob(s, seed, 100).Hash())
	}
	s.wantMiss(blob.Hash{})
	if !s.cfg.ReadOnly {
		if err := s.store.Delete(s.Context(), Blob(s, 1, 100).Hash()); err != nil {
			s.Errorf("Delete of a missing blob: %v", err)
		}
	}
}

func (s *suite) lifeOfABlob() {
	one, two := Blob(s, 1, 10_000), Blob(s, 2, 20_000)
	s.put(one, blob.KindContent)
	s.put(two, blob.KindContent)
	s.wantHit(one)
	s.wantHit(two)
	if err := s.store.Delete(s.Context(), one.Hash()); err != nil {
		s.Fatalf("Delete: %v", err)
	}
	s.wantMiss(one.Hash())
	s.wantHit(two)
	if err := s.store.Delete(s.Context(), one.Hash()); err != nil {
		s.Fatalf("Delete again: %v", err)
	}
	s.put(one, blob.KindContent)
	s.wantHit(one)
}

func (s *suite) putTwice() {
	v := Blob(s, 1, 10_000)
	for range 3 {
		s.put(v, blob.KindContent)
		s.wantHit(v)
	}
	if err := s.store.Delete(s.Context(), v.Hash()); err != nil {
		s.Fatalf("Delete: %v", err)
	}
	s.wantMiss(v.Hash())
}

// edgeSizes lie around the bounds of pages, of a kernel sink's smallest write, and of a blob.
var edgeSizes = []int{1, 2, 4095, 4096, 4097, 65535, 65536, 65537, blob.MaxSize - 1, blob.MaxSize}

func (s *suite) sizes() {
	var all []blob.Verified
	for i, size := range edgeSizes {
		v := Blob(s, uint64(i), size)
		s.put(v, blob.KindContent)
		s.wantHit(v)
		all = append(all, v)
	}
	for _, v := range all {
		s.wantHit(v)
	}
}

func (s *suite) sdBlobs() {
	sd, content := SDBlob(s, 1), Blob(s, 1, 5000)
	s.put(sd, blob.KindSD)
	s.put(content, blob.KindContent)
	s.wantHit(sd)
	s.wantHit(content)
	if s.cfg.ReadOnly {
		return
	}
	if err := s.store.Delete(s.Context(), sd.Hash()); err != nil {
		s.Fatalf("Delete: %v", err)
	}
	s.wantMiss(sd.Hash())
	s.wantHit(content)
}

func (s *suite) callersSlice() {
	for _, size := range []int{100, 5000, 100_000} {
		v := Blob(s, 7, size)
		buf := bytes.Clone(v.Bytes())
		mine, err := blob.Verify(v.Hash(), buf)
		if err != nil {
			s.Fatal(err)
		}
		s.put(mine, blob.KindContent)
		clear(buf)
		s.wantHit(v)
	}
}

func (s *suite) zeroVerified() {
	if err := s.store.Put(s.Context(), blob.Verified{}, blob.KindContent); err == nil {
		s.Error("Put of a zero Verified succeeded")
	}
}

func (s *suite) readOnly() {
	v := Blob(s, 1, 100)
	if err := s.store.Put(s.Context(), v, blob.KindContent); !errors.Is(err, errors.ErrUnsupported) {
		s.Errorf("Put: %v, want ErrUnsupported", err)
	}
	if err := s.store.Delete(s.Context(), v.Hash()); !errors.Is(err, errors.ErrUnsupported) {
		s.Errorf("Delete: %v, want ErrUnsupported", err)
	}
}

func (s *suite) reopen() {
	kept, deleted := Blob(s, 1, 10_000), Blob(s, 2, 20_000)
	sd := SDBlob(s, 3)
	s.put(kept, blob.KindContent)
	s.put(deleted, blob.KindContent)
	s.put(sd, blob.KindSD)
	if err := s.store.Delete(s.Context(), deleted.Hash()); err != nil {
		s.Fatalf("Delete: %v", err)
	}
	for range 2 {
		if err := s.store.Close(); err != nil {
			s.Fatalf("Close: %v", err)
		}
		s.open()
		s.wantHit(kept)
		s.wantHit(sd)
		s.wantMiss(deleted.Hash())
	}
	s.put(deleted, blob.KindContent)
	s.wantHit(deleted)
}

// endedContexts demands the context's own error from every call, and that nothing happened.
func (s *suite) endedContexts() {
	there, other := Blob(s, 1, 1000), Blob(s, 2, 1000)
	s.put(there, blob.KindContent)
	cancelled, cancel := context.WithCancel(s.Context())
	cancel()
	late, cancelLate := context.WithTimeout(s.Context(), -1)
	defer cancelLate()
	for ctx, want := range map[context.Context]error{cancelled: context.Canceled, late: context.DeadlineExceeded} {
		demand := func(call string, err error) {
			s.Helper()
			if !errors.Is(err, want) {
				s.Errorf("%s: %v, want %v", call, err, want)
			}
		}
		_, err := s.store.Has(ctx, there.Hash())
		demand("Has", err)
		for _, v := range []blob.Verified{there, other} {
			h, err := s.store.Get(ctx, v.Hash())
			if err == nil {
				h.Release()
			}
			demand("Get", err)
		}
		if !s.cfg.ReadOnly {
			demand("Put", s.store.Put(ctx, other, blob.KindContent))
			demand("Delete", s.store.Delete(ctx, there.Hash()))
		}
	}
	s.wantHit(there)
	s.wantMiss(other.Hash())
}

func (s *suite) afterClose() {
	v := Blob(s, 1, 1000)
	s.put(v, blob.KindContent)
	name := s.store.Name()
	for i := range 3 {
		if err := s.store.Close(); err != nil {
			s.Errorf("Close number %d: %v", i+1, err)
		}
	}
	demand := func(call string, err error) {
		s.Helper()
		if !errors.Is(err, blob.ErrUnavailable) {
			s.Errorf("%s after Close: %v, want ErrUnavailable", call, err)
		}
		if errors.Is(err, blob.ErrNotFound) {
			s.Errorf("%s after Close claims that the blob is missing: %v", call, err)
		}
	}
	_, err := s.store.Has(s.Context(), v.Hash())
	demand("Has", err)
	h, err := s.store.Get(s.Context(), v.Hash())
	if err == nil {
		h.Release()
	}
	demand("Get", err)
	demand("Put", s.store.Put(s.Context(), v, blob.KindContent))
	demand("Delete", s.store.Delete(s.Context(), v.Hash()))
	if got := s.store.Name(); got != name || got == "" {
		s.Errorf("Name after Close = %q, before %q", got, name)
	}
}

// trace demands exactly one hop of the store's own, as the last one, whatever Get answers.
func (s *suite) trace() {
	v := Blob(s, 1, 1000)
	demand := func(answer string) {
		s.Helper()
		ctx, tr := blob.WithTrace(s.Context())
		h, err := s.store.Get(ctx, v.Hash())
		if err == nil {
			h.Release()
		}
		hops, own := tr.Hops(), 0
		for _, hop := range hops {
			if hop.Origin == s.store.Name() && hop.Host == "" {
				own++
			}
			if hop.Elapsed < 0 {
				s.Errorf("%s: hop %v took a negative time", answer, hop)
			}
		}
		if own != 1 || hops[len(hops)-1].Origin != s.store.Name() {
			s.Errorf("%s (%v): hops %v, want one of %q, the last", answer, err, hops, s.store.Name())
		}
	}
	demand("miss")
	s.put(v, blob.KindContent)
	demand("hit")
	demand("second hit")
	if err := s.store.Close(); err != nil {
		s.Fatalf("Close: %v", err)
	}
	demand("error")
}

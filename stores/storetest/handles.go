package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"

	"github.com/OdyseeTeam/prism/blob"
)

// handleSizes are one below and some above a kernel sink's smallest write.
var handleSizes = []int{1, 4097, blob.MinSinkWrite - 1, blob.MinSinkWrite, 300_000, blob.MaxSize}

// eachHandle runs f over a pinned blob of each size.
func (s *suite) eachHandle(f func(h blob.Handle, want []byte)) {
	s.Helper()
	for i, size := range handleSizes {
		v := Blob(s, uint64(i), size)
		s.put(v, blob.KindContent)
		h := s.get(v)
		if h == nil {
			continue
		}
		f(h, v.Bytes())
		h.Release()
	}
}

// span is a range of bytes of a blob.
type span struct{ off, n int64 }

// spans cover the whole of size bytes, its edges, and what lies at and across pages.
func spans(size int64) []span {
	var in []span
	for _, sp := range []span{
		{0, size}, {0, 0}, {size, 0}, {0, 1}, {size - 1, 1}, {1, size - 1}, {0, size - 1},
		{4095, 2}, {4096, 4096}, {4097, 70_000}, {size / 2, size - size/2}, {1, blob.MinSinkWrite},
	} {
		if sp.off >= 0 && sp.off+sp.n <= size {
			in = append(in, sp)
		}
	}
	return in
}

func (s *suite) handleReadAt() {
	s.eachHandle(func(h blob.Handle, want []byte) {
		size := h.Size()
		if size != int64(len(want)) {
			s.Fatalf("Size = %d, want %d", size, len(want))
		}
		for _, sp := range spans(size) {
			got := make([]byte, sp.n)
			n, err := h.ReadAt(got, sp.off)
			atEnd := sp.off+sp.n == size
			if int64(n) != sp.n || err != nil && !(atEnd && err == io.EOF) || !bytes.Equal(got, want[sp.off:sp.off+sp.n]) {
				s.Errorf("size %d: ReadAt(%d bytes, %d) = %d, %v, or other bytes", size, sp.n, sp.off, n, err)
			}
		}
		got := make([]byte, 10)
		for _, past := range []int64{size, size + 1, math.MaxInt64} {
			if n, err := h.ReadAt(got, past); n != 0 || err != io.EOF {
				s.Errorf("size %d: ReadAt(%d) = %d, %v, want 0, EOF", size, past, n, err)
			}
		}
		if n, err := h.ReadAt(got, size-1); n != 1 || err != io.EOF || got[0] != want[size-1] {
			s.Errorf("size %d: ReadAt across the end = %d, %v, want 1, EOF", size, n, err)
		}
		if n, err := h.ReadAt(got, -1); n != 0 || err == nil || err == io.EOF {
			s.Errorf("size %d: ReadAt(-1) = %d, %v, want an error", size, n, err)
		}
	})
}

func (s *suite) handleWriteTo() {
	s.eachHandle(func(h blob.Handle, want []byte) {
		for range 2 {
			var got bytes.Buffer
			if n, err := h.WriteTo(&got); n != h.Size() || err != nil || !bytes.Equal(got.Bytes(), want) {
				s.Errorf("size %d: WriteTo = %d, %v, or other bytes", h.Size(), n, err)
			}
		}
	})
}

func (s *suite) handleSendTo() {
	s.eachHandle(func(h blob.Handle, want []byte) {
		sink := TCPSink(s.T)
		var sent []byte
		for _, sp := range spans(h.Size()) {
			if n, err := h.SendTo(sink, sp.off, sp.n); n != sp.n || err != nil {
				s.Fatalf("size %d: SendTo(%d, %d) = %d, %v", h.Size(), sp.off, sp.n, n, err)
			}
			sent = append(sent, want[sp.off:sp.off+sp.n]...)
		}
		for _, out := range []span{
			{-1, 1}, {0, -1}, {0, h.Size() + 1}, {1, h.Size()}, {h.Size(), 1}, {h.Size() + 1, 0},
			{1, math.MaxInt64}, {math.MaxInt64, math.MaxInt64},
		} {
			if n, err := h.SendTo(sink, out.off, out.n); n != 0 || err == nil {
				s.Errorf("size %d: SendTo(%d, %d) = %d, %v, want an error", h.Size(), out.off, out.n, n, err)
			}
		}
		if got := sink.Received(); !bytes.Equal(got, sent) {
			s.Errorf("size %d: the socket got %d bytes, want %d, or other ones", h.Size(), len(got), len(sent))
		}
	})
}

// brokenSink takes some bytes and then fails.
type brokenSink struct {
	room int
	err  error
}

func (b *brokenSink) KernelSink() {}

func (b *brokenSink) Write(p []byte) (int, error) {
	n := min(len(p), b.room)
	b.room -= n
	if n < len(p) {
		return n, b.err
	}
	return n, nil
}

func (s *suite) handleSinkErrors() {
	broken := errors.New("the sink is broken")
	s.eachHandle(func(h blob.Handle, _ []byte) {
		for _, room := range []int64{0, h.Size() / 2, h.Size() - 1} {
			sink := &brokenSink{room: int(room), err: broken}
			if n, err := h.SendTo(sink, 0, h.Size()); n != room || !errors.Is(err, broken) {
				s.Errorf("size %d: SendTo a sink that takes %d = %d, %v", h.Size(), room, n, err)
			}
			sink.room = int(room)
			if n, err := h.WriteTo(sink); n != room || !errors.Is(err, broken) {
				s.Errorf("size %d: WriteTo a sink that takes %d = %d, %v", h.Size(), room, n, err)
			}
		}
	})
}

func (s *suite) handleConcurrent() {
	s.eachHandle(func(h blob.Handle, want []byte) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := sameBytes(h, want); err != nil {
					s.Errorf("size %d: %v", h.Size(), err)
				}
				var got bytes.Buffer
				if _, err := h.WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), want) {
					s.Errorf("size %d: WriteTo: %v, or other bytes", h.Size(), err)
				}
			})
		}
		wg.Wait()
	})
}

func (s *suite) handleReleasedTwice() {
	v := Blob(s, 1, 1000)
	s.put(v, blob.KindContent)
	h := s.get(v)
	if h == nil {
		return
	}
	h.Release()
	defer func() {
		if recover() == nil {
			s.Error("the second Release did not panic")
		}
	}()
	h.Release()
}

func (s *suite) handleOutlivesContext() {
	v := Blob(s, 1, 300_000)
	s.put(v, blob.KindContent)
	ctx, cancel := context.WithCancel(s.Context())
	h, err := s.store.Get(ctx, v.Hash())
	cancel()
	if s.cfg.Lossy && errors.Is(err, blob.ErrNotFound) {
		return
	}
	if err != nil {
		s.Fatalf("Get: %v", err)
	}
	defer h.Release()
	if err := s.allBytes(h, v.Bytes()); err != nil {
		s.Error(err)
	}
}

// allBytes compares by every way that a handle gives its bytes.
func (s *suite) allBytes(h blob.Handle, want []byte) error {
	if err := sameBytes(h, want); err != nil {
		return err
	}
	sink := TCPSink(s.T)
	n, err := h.SendTo(sink, 0, h.Size())
	if err != nil {
		return fmt.Errorf("SendTo: %w", err)
	}
	if n != h.Size() {
		return fmt.Errorf("SendTo = %d of %d bytes", n, h.Size())
	}
	if !bytes.Equal(sink.Received(), want) {
		return errors.New("SendTo sent other bytes")
	}
	var got bytes.Buffer
	if _, err := h.WriteTo(&got); err != nil {
		return fmt.Errorf("WriteTo: %w", err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		return errors.New("WriteTo wrote other bytes")
	}
	return nil
}

func (s *suite) handleOutlivesDelete() {
	s.eachHandle(func(h blob.Handle, want []byte) {
		if err := s.store.Delete(s.Context(), blob.Sum(want)); err != nil {
			s.Fatalf("Delete: %v", err)
		}
		s.wantMiss(blob.Sum(want))
		if err := s.allBytes(h, want); err != nil {
			s.Errorf("size %d, after Delete: %v", h.Size(), err)
		}
		again := Verified(s, want)
		s.put(again, blob.KindContent)
		s.wantHit(again)
		if err := s.allBytes(h, want); err != nil {
			s.Errorf("size %d, after Delete and another Put: %v", h.Size(), err)
		}
	})
}

func (s *suite) handleOutlivesClose() {
	type pinned struct {
		h    blob.Handle
		want []byte
	}
	var all []pinned
	for i, size := range handleSizes {
		v := Blob(s, uint64(i), size)
		s.put(v, blob.KindContent)
		if h := s.get(v); h != nil {
			all = append(all, pinned{h, v.Bytes()})
		}
	}
	for _, p := range all { // Close may end the transfer of what is still on its way
		if err := s.allBytes(p.h, p.want); err != nil {
			s.Errorf("size %d, before Close: %v", p.h.Size(), err)
		}
	}
	if err := s.store.Close(); err != nil {
		s.Fatalf("Close: %v", err)
	}
	for _, p := range all {
		if err := s.allBytes(p.h, p.want); err != nil {
			s.Errorf("size %d, after Close: %v", p.h.Size(), err)
		}
		p.h.Release()
	}
}

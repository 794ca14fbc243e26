package segments_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs/cachetest"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/segments"
)

// bufSink collects what a handle sends. It copies in Go, which a Sink must not: only for payloads in ordinary memory.
type bufSink struct {
	bytes.Buffer
	limit int // bytes that it takes before it fails; 0 is no limit
}

var errSink = errors.New("the peer is gone")

func (*bufSink) KernelSink() {}

func (s *bufSink) Write(p []byte) (int, error) {
	if s.limit > 0 && s.Len()+len(p) > s.limit {
		n, _ := s.Buffer.Write(p[:s.limit-s.Len()])
		return n, errSink
	}
	return s.Buffer.Write(p)
}

// open pins a record and makes a handle of it that is released at the end of the test.
func open(t testing.TB, s *segments.Segment, rec segments.Record, bufs *segments.Buffers, prove bool) *segments.Handle {
	t.Helper()
	if !s.Pin(rec.Slot) {
		t.Fatal("cannot pin")
	}
	h, err := s.OpenHandle(rec.Location, bufs, prove)
	if err != nil {
		s.Unpin(rec.Slot)
		t.Fatal(err)
	}
	t.Cleanup(h.Release)
	return h
}

// reader gives a handle to iotest, which looks for ReadAt.
type reader struct {
	*io.SectionReader
	h *segments.Handle
}

func (r reader) ReadAt(p []byte, off int64) (int, error) { return r.h.ReadAt(p, off) }

func TestHandleReadsAsReadersDo(t *testing.T) {
	eachFS(t, func(t *testing.T, b bed) {
		s := b.create(t, 1, 1024)
		bufs := segments.NewBuffers(2)
		for _, n := range []int{1, 4097, segments.SmallMax, segments.SmallMax + 1} {
			p := content(uint64(n), n)
			rec := put(t, s, p)
			for _, prove := range []bool{false, true} {
				h := open(t, s, rec, bufs, prove)
				if h.Size() != int64(n) || h.Location() != rec.Location {
					t.Errorf("%d bytes: size %d at %+v", n, h.Size(), h.Location())
				}
				if err := iotest.TestReader(reader{io.NewSectionReader(h, 0, h.Size()), h}, p); err != nil {
					t.Errorf("%d bytes, prove %v: %v", n, prove, err)
				}
				for _, c := range []struct {
					off  int64
					size int
					want int
					err  error
				}{
					{0, n + 10, n, io.EOF}, {int64(n) - 1, 2, 1, io.EOF}, {int64(n), 1, 0, io.EOF}, {int64(n) + 5, 0, 0, io.EOF}, {0, 0, 0, nil},
				} {
					buf := bytes.Repeat([]byte{0xaa}, c.size)
					got, err := h.ReadAt(buf, c.off)
					if got != c.want || err != c.err || !bytes.Equal(buf[:got], p[min(int(c.off), n):][:got]) {
						t.Errorf("%d bytes: ReadAt(%d, %d) is %d, %v; want %d, %v", n, c.size, c.off, got, err, c.want, c.err)
					}
				}
				if got, err := h.ReadAt(make([]byte, 1), -1); got != 0 || err == nil || err == io.EOF {
					t.Errorf("ReadAt(-1) is %d, %v", got, err)
				}
			}
		}
	})
}

// TestSendToRanges sends ranges of payloads that are in ordinary memory. Mapped ones are in TestSendToTCP.
func TestSendToRanges(t *testing.T) {
	b := memBed(t)
	s := b.create(t, 1, 2048)
	bufs := segments.NewBuffers(1)
	for _, n := range []int{1, 5000, segments.SmallMax, segments.SmallMax + 1, blob.MaxSize} {
		p := content(uint64(n), n)
		rec := put(t, s, p)
		h := open(t, s, rec, bufs, false)
		for _, c := range [][2]int64{{0, int64(n)}, {0, 0}, {int64(n), 0}, {int64(n) - 1, 1}, {0, 1}, {int64(n) / 3, int64(n) / 2}} {
			var sink bufSink
			got, err := h.SendTo(&sink, c[0], c[1])
			if got != c[1] || err != nil || !bytes.Equal(sink.Bytes(), p[c[0]:c[0]+c[1]]) {
				t.Errorf("%d bytes: %d+%d: sent %d, %v", n, c[0], c[1], got, err)
			}
		}
		for _, c := range [][2]int64{{0, int64(n) + 1}, {-1, 1}, {0, -1}, {int64(n) + 1, 0}, {1, 1<<63 - 1}, {1<<63 - 1, 1<<63 - 1}} {
			var sink bufSink
			if got, err := h.SendTo(&sink, c[0], c[1]); got != 0 || err == nil || sink.Len() > 0 {
				t.Errorf("%d bytes: %d+%d: sent %d, %v", n, c[0], c[1], got, err)
			}
		}
	}
}

// TestASinkThatFails: its error comes back as it is, with the bytes that it took.
func TestASinkThatFails(t *testing.T) {
	b := memBed(t)
	s := b.create(t, 1, 2048)
	for _, n := range []int{5000, 300_000} {
		p := content(1, n)
		rec := put(t, s, p)
		for _, large := range []int{0, 1} { // with no large buffer the payload is sent in pieces
			h := open(t, s, rec, segments.NewBuffers(large), false)
			sink := &bufSink{limit: n - 100}
			if got, err := h.SendTo(sink, 0, h.Size()); got != int64(n-100) || !errors.Is(err, errSink) {
				t.Errorf("SendTo: %d bytes, %v", got, err)
			}
			sink = &bufSink{limit: n - 100}
			if got, err := h.WriteTo(sink); got != int64(n-100) || !errors.Is(err, errSink) {
				t.Errorf("WriteTo: %d bytes, %v", got, err)
			}
			if got, err := h.WriteTo(shortWriter{}); got != 1 || err != io.ErrShortWrite {
				t.Errorf("a writer that breaks its promise: %d bytes, %v", got, err)
			}
		}
	}
}

// promptSink is a blob.PromptWriter whose reader is prompt for so many bytes.
type promptSink struct {
	bytes.Buffer
	t      *testing.T
	bufs   *segments.Buffers
	prompt int
	slow   bool
}

func (s *promptSink) WritePrompt(p []byte) (int, error) {
	if s.slow || s.bufs.Pieces() != 1 {
		s.t.Errorf("a prompt write; slow: %v, %d large pieces are out", s.slow, s.bufs.Pieces())
	}
	p = p[:min(len(p), s.prompt-s.Len())]
	s.slow = s.Len()+len(p) == s.prompt
	return s.Buffer.Write(p)
}

func (s *promptSink) Write(p []byte) (int, error) {
	if !s.slow || len(p) > segments.SmallMax || s.bufs.Pieces() != 0 {
		s.t.Errorf("%d bytes; slow: %v, %d large pieces are out", len(p), s.slow, s.bufs.Pieces())
	}
	return s.Buffer.Write(p)
}

// TestASlowReaderHoldsLittle: from where a reader is slow on, it is sent small pieces, and others may have the large one.
func TestASlowReaderHoldsLittle(t *testing.T) {
	s := memBed(t).create(t, 1, 2048)
	p := content(1, blob.MaxSize-1)
	rec := put(t, s, p)
	bufs := segments.NewBuffers(0)
	h := open(t, s, rec, bufs, false)
	for _, prompt := range []int{0, 1, 100_000, 1_000_000, len(p) - 1, 1 << 30} {
		w := &promptSink{t: t, bufs: bufs, prompt: prompt}
		if n, err := h.WriteTo(w); n != int64(len(p)) || err != nil || !bytes.Equal(w.Bytes(), p) {
			t.Errorf("prompt for %d bytes: sent %d, %v; the same bytes: %v", prompt, n, err, bytes.Equal(w.Bytes(), p))
		}
		if bufs.Pieces() != 0 {
			t.Errorf("prompt for %d bytes: %d large pieces are out at the end", prompt, bufs.Pieces())
		}
	}
}

type shortWriter struct{}

func (shortWriter) Write([]byte) (int, error) { return 1, nil }

// TestAFlippedBitIsCorrupt: whatever is proven is compared with its CRC, small or large, in a large buffer or in pieces.
func TestAFlippedBitIsCorrupt(t *testing.T) {
	eachFS(t, func(t *testing.T, b bed) {
		s := b.create(t, 1, 1024)
		small, big := put(t, s, content(1, 5000)), put(t, s, content(2, 300_000))
		for name, c := range map[string]struct {
			rec   segments.Record
			large int
			prove bool
		}{
			"small":              {small, 1, false},
			"small, proven":      {small, 1, true},
			"large, proven":      {big, 1, true},
			"large, no buffer":   {big, 0, true},
			"large, not in RAM":  {big, 1, false},
			"the same in pieces": {big, 0, false},
		} {
			t.Run(name, func(t *testing.T) {
				bufs := segments.NewBuffers(c.large)
				good := b.raw(t, b.path(1), c.rec.Offset+4321, 1)
				b.patch(t, b.path(1), c.rec.Offset+4321, []byte{good[0] ^ 0x10})
				defer b.patch(t, b.path(1), c.rec.Offset+4321, good)
				if !c.prove && c.rec == big && b.dir != "/segments" {
					cachetest.Forget(t, b.path(1))
				}
				if !s.Pin(c.rec.Slot) {
					t.Fatal("cannot pin")
				}
				defer s.Unpin(c.rec.Slot) // the pin stays the caller's
				if h, err := s.OpenHandle(c.rec.Location, bufs, c.prove); !errors.Is(err, blob.ErrCorrupt) || h != nil {
					t.Errorf("%v", err)
				}
				if s.Pins() != 1 || bufs.Out() != 0 {
					t.Errorf("%d pins and %d buffers are out", s.Pins(), bufs.Out())
				}
			})
		}
		open(t, s, small, segments.NewBuffers(0), true)
		open(t, s, big, segments.NewBuffers(0), true)
	})
}

// TestABadBlock: an error of the disk is not taken for damage, and reaches the caller.
func TestABadBlock(t *testing.T) {
	disk := crashfs.New()
	b := bed{disk, "/"}
	s := b.create(t, 1, 1024)
	small, big := put(t, s, content(1, 5000)), put(t, s, content(2, 300_000))
	h := open(t, s, big, segments.NewBuffers(0), true)
	for _, rec := range []segments.Record{small, big} {
		if err := disk.FailReads(b.path(1), rec.Offset+4096, 1); err != nil {
			t.Fatal(err)
		}
		s.Pin(rec.Slot)
		_, err := s.OpenHandle(rec.Location, segments.NewBuffers(1), true)
		if !errors.Is(err, syscall.EIO) || errors.Is(err, blob.ErrCorrupt) {
			t.Errorf("record %d: %v", rec.Slot, err)
		}
		s.Unpin(rec.Slot)
		if err := s.Verify(rec.Location, make([]byte, 5000)); !errors.Is(err, syscall.EIO) {
			t.Errorf("record %d: verify: %v", rec.Slot, err)
		}
	}
	var sink bufSink
	if n, err := h.SendTo(&sink, 0, h.Size()); n != 0 || !errors.Is(err, syscall.EIO) || !errors.Is(err, blob.ErrUnavailable) {
		t.Errorf("sent %d bytes, %v", n, err)
	}
	if n, err := h.WriteTo(&sink); n != 0 || !errors.Is(err, blob.ErrUnavailable) {
		t.Errorf("wrote %d bytes, %v", n, err)
	}
	if _, err := h.ReadAt(make([]byte, 10), 4090); !errors.Is(err, syscall.EIO) {
		t.Errorf("ReadAt: %v", err)
	}
	if n, err := h.ReadAt(make([]byte, 10), 100_000); n != 10 || err != nil {
		t.Errorf("ReadAt elsewhere: %d, %v", n, err)
	}
}

// TestLargeBuffersAreBounded: one is held only while the page cache does not hold the payload, and never more than the
// budget has.
func TestLargeBuffersAreBounded(t *testing.T) {
	eachFS(t, func(t *testing.T, b bed) {
		s := b.create(t, 1, 2048)
		p := content(1, 300_000)
		rec := put(t, s, p)
		bufs := segments.NewBuffers(2)
		var handles []*segments.Handle
		for range 4 {
			handles = append(handles, open(t, s, rec, bufs, true))
		}
		inMemory := b.dir == "/segments"
		if want := map[bool]int{true: 2, false: 0}[inMemory]; bufs.Out() != want {
			t.Errorf("%d large buffers are out, want %d", bufs.Out(), want)
		}
		for i, h := range handles {
			var sink bytes.Buffer
			if _, err := h.WriteTo(&sink); err != nil || !bytes.Equal(sink.Bytes(), p) {
				t.Errorf("handle %d: %v", i, err)
			}
		}
	})
}

func TestHandlesInParallel(t *testing.T) {
	eachFS(t, func(t *testing.T, b bed) {
		s := b.create(t, 1, 4096)
		var recs []segments.Record
		for i := range 12 {
			recs = append(recs, put(t, s, content(uint64(i), 1+i*29_989)))
		}
		fresh := b.at(t, 1)
		bufs := segments.NewBuffers(2)
		var readers sync.WaitGroup
		for w := range 4 {
			readers.Go(func() {
				for i := range 60 {
					rec := recs[(w+i)%len(recs)]
					if !fresh.Pin(rec.Slot) {
						t.Error("cannot pin")
						return
					}
					h, err := fresh.OpenHandle(rec.Location, bufs, i%2 == 0)
					if err != nil {
						t.Error(err)
						fresh.Unpin(rec.Slot)
						return
					}
					var got bytes.Buffer
					if _, err := h.WriteTo(&got); err != nil || blob.Sum(got.Bytes()) != rec.Hash {
						t.Errorf("record %d: %v", rec.Slot, err)
					}
					h.Release()
				}
			})
		}
		readers.Wait()
		if fresh.Pins() != 0 || bufs.Out() != 0 {
			t.Errorf("%d pins and %d buffers are out", fresh.Pins(), bufs.Out())
		}
	})
}

func TestErrorsSayWhere(t *testing.T) {
	b := memBed(t)
	s := b.create(t, 7, 64)
	put(t, s, content(1, 10))
	rec := put(t, s, content(2, 5000))
	b.patch(t, b.path(7), rec.Offset, []byte{0})
	if err := s.Verify(rec.Location, make([]byte, 100)); err == nil || !strings.Contains(err.Error(), "segments: read 7:1: ") {
		t.Error(err)
	}
}

package blob_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/OdyseeTeam/prism/blob"
)

// body is a reader that knows whether it was closed.
type body struct {
	io.Reader
	closed int
}

func (b *body) Close() error { b.closed++; return nil }

// endless gives zeros for ever.
type endless struct{ given int }

func (e *endless) Read(p []byte) (int, error) {
	clear(p)
	e.given += len(p)
	return len(p), nil
}

// stalled gives neither bytes nor an error.
type stalled struct{}

func (stalled) Read([]byte) (int, error) { return 0, nil }

// hesitant gives nothing before every read of its reader.
type hesitant struct {
	io.Reader
	odd bool
}

func (h *hesitant) Read(p []byte) (int, error) {
	if h.odd = !h.odd; h.odd {
		return 0, nil
	}
	return h.Reader.Read(p)
}

func TestNewStreamChecksTheSize(t *testing.T) {
	for _, c := range []struct {
		size int64
		want error
	}{
		{-1, blob.ErrEmpty}, {0, blob.ErrEmpty}, {1, nil}, {blob.MaxSize, nil}, {blob.MaxSize + 1, blob.ErrTooBig},
		{1 << 62, blob.ErrTooBig},
	} {
		b := &body{Reader: endlessBody()}
		s, err := blob.NewStream(blob.Hash{1}, c.size, b)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("size %d: %v, want %v", c.size, err, c.want)
		}
		if err != nil {
			if s != nil || b.closed != 1 {
				t.Errorf("size %d: a refused body was closed %d times", c.size, b.closed)
			}
			continue
		}
		if s.Size() != c.size || s.Name() != (blob.Hash{1}) || b.closed != 0 {
			t.Errorf("size %d: the stream says %d, %s; closed %d times", c.size, s.Size(), s.Name(), b.closed)
		}
		if err := s.Close(); err != nil || b.closed != 1 {
			t.Errorf("size %d: Close: %v, %d times", c.size, err, b.closed)
		}
	}
}

func endlessBody() io.Reader { return &endless{} }

// collect runs Collect for data's name over a body that announces size bytes, and checks what must always hold.
func collect(t *testing.T, data []byte, size int64, r io.Reader) (blob.Verified, error) {
	t.Helper()
	s, err := blob.NewStream(blob.Sum(data), size, &body{Reader: r})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	buf := make([]byte, 0, size)
	last := 0
	v, err := s.Collect(buf, func(n int) {
		if n <= last || int64(n) > size {
			t.Errorf("progress goes from %d to %d of %d", last, n, size)
		}
		last = n
	})
	switch {
	case err != nil && v.Size() != 0:
		t.Errorf("an error and %d verified bytes", v.Size())
	case err == nil && (!bytes.Equal(v.Bytes(), data) || v.Hash() != blob.Sum(data) || int64(last) != size):
		t.Errorf("verified %d bytes as %s after %d of progress", v.Size(), v.Hash(), last)
	case err == nil && &v.Bytes()[0] != &buf[:1][0]:
		t.Error("the bytes are not in the caller's buffer")
	}
	return v, err
}

func TestCollectTakesGoodBodies(t *testing.T) {
	for _, n := range []int{1, 2, 4096, 128<<10 - 1, 128 << 10, 128<<10 + 1, blob.MaxSize} {
		data := random(uint64(n), n)
		for name, r := range map[string]io.Reader{
			"plain":          bytes.NewReader(data),
			"EOF with bytes": iotest.DataErrReader(bytes.NewReader(data)),
			"halves":         iotest.HalfReader(bytes.NewReader(data)),
			"hesitant":       &hesitant{Reader: bytes.NewReader(data)},
		} {
			if _, err := collect(t, data, int64(n), r); err != nil {
				t.Errorf("%s of %d bytes: %v", name, n, err)
			}
		}
	}
	data := random(9, 3000)
	if _, err := collect(t, data, 3000, iotest.OneByteReader(bytes.NewReader(data))); err != nil {
		t.Errorf("byte by byte: %v", err)
	}
}

func TestCollectRefusesBadBodies(t *testing.T) {
	data := random(3, 300_000)
	size := int64(len(data))
	wrong := bytes.Clone(data)
	wrong[len(wrong)-1] ^= 1
	errBroken := errors.New("connection reset")
	for _, c := range []struct {
		name string
		r    io.Reader
		want error
	}{
		{"empty", bytes.NewReader(nil), blob.ErrCorrupt},
		{"short by one", bytes.NewReader(data[:size-1]), blob.ErrCorrupt},
		{"short, EOF with bytes", iotest.DataErrReader(bytes.NewReader(data[:size-1])), blob.ErrCorrupt},
		{"long by one", io.MultiReader(bytes.NewReader(data), bytes.NewReader([]byte{0})), blob.ErrCorrupt},
		{"long by one, late", &hesitant{Reader: bytes.NewReader(append(bytes.Clone(data), 0))}, blob.ErrCorrupt},
		{"wrong", bytes.NewReader(wrong), blob.ErrCorrupt},
		{"swapped", bytes.NewReader(append(bytes.Clone(data[1:]), data[0])), blob.ErrCorrupt},
		{"endless", &endless{}, blob.ErrCorrupt},
		{"broken in the middle", io.MultiReader(bytes.NewReader(data[:1000]), iotest.ErrReader(errBroken)), errBroken},
		{"broken at the end", io.MultiReader(bytes.NewReader(data), iotest.ErrReader(errBroken)), errBroken},
		{"cut by the transport", io.MultiReader(bytes.NewReader(data[:9]), iotest.ErrReader(io.ErrUnexpectedEOF)), io.ErrUnexpectedEOF},
		{"stalled at once", stalled{}, io.ErrNoProgress},
		{"stalled in the middle", io.MultiReader(bytes.NewReader(data[:1000]), stalled{}), io.ErrNoProgress},
		{"stalled at the end", io.MultiReader(bytes.NewReader(data), stalled{}), io.ErrNoProgress},
	} {
		if _, err := collect(t, data, size, c.r); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// An origin that never stops is read no further than one byte beyond what it announced.
func TestCollectStopsReading(t *testing.T) {
	src := &endless{}
	if _, err := collect(t, []byte("x"), 500_000, src); err == nil {
		t.Error("an endless body is taken")
	}
	if src.given != 500_001 {
		t.Errorf("%d bytes were read for an announced 500000", src.given)
	}
}

func TestCollectNeedsRoom(t *testing.T) {
	s, err := blob.NewStream(blob.Sum([]byte("abc")), 3, &body{Reader: bytes.NewReader([]byte("abc"))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Collect(make([]byte, 2), nil); err == nil {
		t.Error("three bytes are collected into a buffer of two")
	}
	big := slices.Repeat([]byte{'-'}, 10)
	v, err := s.Collect(big, nil)
	if err != nil || string(v.Bytes()) != "abc" || cap(v.Bytes()) != 3 || string(big) != "abc-------" {
		t.Errorf("collected %q with room for %d, %v; the buffer holds %q", v.Bytes(), cap(v.Bytes()), err, big)
	}
}

// FuzzCollect feeds bodies of any bytes, cut anywhere: they come out whole and right, or not at all.
func FuzzCollect(f *testing.F) {
	f.Add([]byte("a blob"), []byte("a blob"), uint64(1))
	f.Add([]byte("a blob"), []byte("a blo"), uint64(2))
	f.Add([]byte("a blob"), []byte("a blobs"), uint64(3))
	f.Fuzz(func(t *testing.T, data, sent []byte, seed uint64) {
		if len(data) == 0 || len(data) > blob.MaxSize {
			return
		}
		r := rand.New(rand.NewPCG(seed, 0))
		_, err := collect(t, data, int64(len(data)), &jagged{r: r, data: sent})
		if (err == nil) != bytes.Equal(data, sent) {
			t.Fatalf("%d bytes for a blob of %d: %v", len(sent), len(data), err)
		}
		if err != nil && !errors.Is(err, blob.ErrCorrupt) {
			t.Fatalf("%v, want ErrCorrupt", err)
		}
	})
}

// jagged gives its data in pieces of random size, some of none, the last of them with or without io.EOF.
type jagged struct {
	r    *rand.Rand
	data []byte
}

func (j *jagged) Read(p []byte) (int, error) {
	n := copy(p[:j.r.IntN(len(p)+1)], j.data)
	j.data = j.data[n:]
	if len(j.data) == 0 && (n == 0 || j.r.IntN(2) == 0) {
		return n, io.EOF
	}
	return n, nil
}

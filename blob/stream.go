package blob

import (
	"errors"
	"fmt"
	"io"
)

// Stream is a blob on its way from an origin: its size is known before its bytes, and Collect succeeds only when the
// bytes match their name. It is not safe for concurrent use. The caller closes it.
type Stream struct {
	name Hash
	size int64
	body io.ReadCloser
}

// NewStream wraps a body of size bytes, as the origin announced it. Errors: ErrEmpty for a size of 0 or less (callers
// that know an origin which says "missing" so turn that into ErrNotFound first), ErrTooBig. On an error the body is
// closed; otherwise the Stream owns it.
func NewStream(name Hash, size int64, body io.ReadCloser) (*Stream, error) {
	var err error
	switch {
	case size <= 0:
		err = ErrEmpty
	case size > MaxSize:
		err = ErrTooBig
	}
	if err != nil {
		return nil, errors.Join(err, body.Close())
	}
	return &Stream{name: name, size: size, body: body}, nil
}

// Name is the hash that was asked for.
func (s *Stream) Name() Hash { return s.name }

// Size is the number of bytes that the origin announced, 1 to MaxSize.
func (s *Stream) Size() int64 { return s.size }

// Close closes the body.
func (s *Stream) Close() error { return s.body.Close() }

// Collect reads the whole blob into buf, which needs room for Size bytes, hashing as the bytes arrive. After each read
// it calls progress, if there is one, with the number of bytes that are in buf so far; they are not verified, so the
// last of them must not leave before Collect has returned. The Verified refers to buf.
//
// Errors: ErrCorrupt when the body is short, long, or does not match the name; io.ErrNoProgress when it gives nothing
// many times in a row; otherwise what the body returned.
func (s *Stream) Collect(buf []byte, progress func(n int)) (Verified, error) {
	return (*Lanes)(nil).Collect(s, buf, progress)
}

// collect reads the whole blob into an empty Hasher of its size.
func (s *Stream) collect(h *Hasher, progress func(n int)) (Verified, error) {
	body := &patient{r: s.body}
	for int64(h.Len()) < s.size {
		n, err := h.ReadOnce(body, collectChunk)
		if n > 0 && progress != nil {
			progress(h.Len())
		}
		if err == io.EOF && int64(h.Len()) < s.size {
			return Verified{}, fmt.Errorf("%w: body ended after %d of %d bytes", ErrCorrupt, h.Len(), s.size)
		}
		if err != nil && err != io.EOF {
			return Verified{}, err
		}
	}
	if err := s.atEnd(body); err != nil {
		return Verified{}, err
	}
	return h.Verified(s.name)
}

// collectChunk bounds one read, so that hashing runs alongside the arrival of the rest. Smaller ones cost more system
// calls and hide no more of the hashing.
const collectChunk = 512 << 10

// atEnd demands that the body has nothing more to give.
func (s *Stream) atEnd(body io.Reader) error {
	var one [1]byte
	for {
		n, err := body.Read(one[:])
		switch {
		case n > 0:
			return fmt.Errorf("%w: body is longer than the announced %d bytes", ErrCorrupt, s.size)
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// patient bounds how often a reader may give neither bytes nor an error, which would hold the fill and all who wait for
// it for ever.
type patient struct {
	r     io.Reader
	empty int // reads in a row that gave nothing
}

// maxEmptyReads is what package bufio allows.
const maxEmptyReads = 100

func (p *patient) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if n > 0 || err != nil {
		p.empty = 0
		return n, err
	}
	if p.empty++; p.empty >= maxEmptyReads {
		return 0, io.ErrNoProgress
	}
	return 0, nil
}

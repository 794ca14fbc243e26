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
// Errors: ErrCorrupt when the body is short, long, or does not match the name; otherwise what the body returned.
func (s *Stream) Collect(buf []byte, progress func(n int)) (Verified, error) {
	if int64(cap(buf)) < s.size {
		return Verified{}, fmt.Errorf("blob: collect %d bytes into a buffer of %d", s.size, cap(buf))
	}
	h := NewHasher(buf[:0:s.size])
	for int64(h.Len()) < s.size {
		n, err := h.ReadOnce(s.body, collectChunk)
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
	if err := s.atEnd(); err != nil {
		return Verified{}, err
	}
	return h.Verified(s.name)
}

// collectChunk bounds one read, so that hashing runs alongside the arrival of the rest.
const collectChunk = 128 << 10

// atEnd demands that the body has nothing more to give.
func (s *Stream) atEnd() error {
	var one [1]byte
	for {
		n, err := s.body.Read(one[:])
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

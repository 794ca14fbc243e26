package reflector

import (
	"errors"
	"fmt"

	"github.com/OdyseeTeam/prism/internal/jsonscan"
)

// Limits of one object, in bytes. Deployed clients send at most 300 bytes and read answers of at most MaxAnswer.
const (
	MaxMessage = 64 << 10
	MaxAnswer  = 2_000_000
)

// Decoder cuts what arrives into objects. Bytes beyond an object are kept: they are the next object, or the beginning of
// a blob. It holds at most the limit and the bytes of one Write, looks at each byte once, and frees its memory when
// nothing is left in it. It is not safe for concurrent use.
type Decoder struct {
	limit int
	scan  jsonscan.Scanner
	buf   []byte // what was written and not taken
	seen  int    // bytes of buf that scan has looked at
}

// NewDecoder makes a decoder of objects of at most limit bytes.
func NewDecoder(limit int) *Decoder { return &Decoder{limit: limit, scan: jsonscan.New(limit)} }

// Write appends a copy of p. It never fails. Next is to be called after each: only it refuses what is too long.
func (d *Decoder) Write(p []byte) (int, error) {
	d.buf = append(d.buf, p...)
	return len(p), nil
}

// Next takes the next object, which is valid until the next Write; ok is false while more bytes are needed. Errors are
// ErrSyntax and ErrTooLong, and last.
func (d *Decoder) Next() (object []byte, ok bool, err error) {
	if d.seen == 0 {
		d.skipBlanks()
	}
	n, done, err := d.scan.Scan(d.buf[d.seen:])
	d.seen += n
	switch {
	case errors.Is(err, jsonscan.ErrTooLong):
		return nil, false, fmt.Errorf("%w: more than %d bytes", ErrTooLong, d.limit)
	case err != nil:
		return nil, false, fmt.Errorf("%w: %w", ErrSyntax, err)
	case !done:
		return nil, false, nil
	}
	object = d.buf[:d.seen:d.seen]
	d.drop(d.seen)
	d.scan.Reset()
	return object, true, nil
}

// Pending is how many bytes have come that were not taken, blanks between objects left out.
func (d *Decoder) Pending() int {
	if d.seen == 0 {
		d.skipBlanks()
	}
	return len(d.buf)
}

// TakeBytes takes at most n bytes that are no object: the beginning of a blob. They are valid until the next Write. Only
// after an object, before Next has looked for another.
func (d *Decoder) TakeBytes(n int) []byte {
	n = min(n, len(d.buf))
	taken := d.buf[:n:n]
	d.drop(n)
	return taken
}

// drop forgets the first n bytes.
func (d *Decoder) drop(n int) {
	d.buf, d.seen = d.buf[n:], 0
	if len(d.buf) == 0 {
		d.buf = nil
	}
}

// skipBlanks forgets what some encoders put behind an object.
func (d *Decoder) skipBlanks() {
	n := 0
	for n < len(d.buf) && (d.buf[n] == ' ' || d.buf[n] == '\n' || d.buf[n] == '\r' || d.buf[n] == '\t') {
		n++
	}
	d.drop(n)
}

package index

import "encoding/binary"

// reader takes a value apart. The first fault stays; what is read after it is 0.
type reader struct {
	buf []byte
	bad string
}

// uvarint reads a number up to limit, in its shortest form: a number has one form only, so that rows can be compared.
func (r *reader) uvarint(limit uint64) uint64 {
	n, size := binary.Uvarint(r.buf)
	switch {
	case r.bad != "":
		return 0
	case size <= 0:
		r.bad = "a number is cut short or too long"
		return 0
	case size > 1 && r.buf[size-1] == 0:
		r.bad = "a number is not in its shortest form"
		return 0
	case n > limit:
		r.bad = "a number is out of range"
		return 0
	}
	r.buf = r.buf[size:]
	return n
}

// take cuts n bytes off, or none.
func (r *reader) take(n int) []byte {
	if r.bad == "" && len(r.buf) < n {
		r.bad = "too short"
	}
	if r.bad != "" {
		return nil
	}
	b := r.buf[:n]
	r.buf = r.buf[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) bytes(dst []byte) { copy(dst, r.take(len(dst))) }

// end is the fault, or nothing: all was read and no byte is left.
func (r *reader) end() string {
	if r.bad == "" && len(r.buf) > 0 {
		return "bytes after the end"
	}
	return r.bad
}

// Package jsonscan finds where one JSON object ends in bytes that arrive in pieces, for protocols that put objects back
// to back without a delimiter. It looks at each byte once and keeps none, so what a stranger sends costs time in
// proportion to its length and no memory.
//
// It tells brackets from text and nothing more: what it calls an object has matching brackets, and may still not be
// JSON. Whoever takes the object parses it.
package jsonscan

import (
	"errors"
	"io"
)

// The errors of a Scanner. After one it is of no more use.
var (
	// ErrNotObject: the first byte is not `{`.
	ErrNotObject = errors.New("not a JSON object")
	// ErrMismatch: a bracket closes another one than was opened last.
	ErrMismatch = errors.New("brackets of a JSON object do not match")
	// ErrTooLong: the object did not end within the limit.
	ErrTooLong = errors.New("JSON object is too long")
	// ErrTooDeep: more brackets are open at once than MaxDepth.
	ErrTooDeep = errors.New("JSON object is nested too deeply")
)

// MaxDepth is how many brackets may be open at once. Messages of the protocols need three.
const MaxDepth = 64

// Scanner looks for the end of one object. It is not safe for concurrent use.
type Scanner struct {
	limit   int
	seen    int    // bytes of the object so far
	depth   int    // brackets that are open
	squares uint64 // bit i: the bracket at depth i is a square one
	lists   bool   // a list will do as well
	text    bool   // inside a string
	escape  bool   // after a backslash in one
}

// New makes a scanner for an object of at most limit bytes.
func New(limit int) Scanner { return Scanner{limit: limit} }

// End says how many bytes of p are the object or list that p starts with. Errors: see above, and io.ErrUnexpectedEOF when
// it does not end in p.
func End(p []byte) (int, error) {
	s := Scanner{limit: len(p), lists: true}
	n, done, err := s.Scan(p)
	if err == nil && !done {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Reset begins with the next object.
func (s *Scanner) Reset() { *s = Scanner{limit: s.limit} }

// Scan looks at the bytes that follow those of the calls before. When the object ends in p, done is true and n is how
// many bytes of p belong to it; otherwise all of them do. The first byte of all must be `{`. Errors: see above.
func (s *Scanner) Scan(p []byte) (n int, done bool, err error) {
	for i, c := range p {
		if s.seen == s.limit {
			return i, false, ErrTooLong
		}
		s.seen++
		switch {
		case s.depth == 0 && c != '{' && !(c == '[' && s.lists):
			return i, false, ErrNotObject
		case s.escape:
			s.escape = false
		case s.text:
			s.text, s.escape = c != '"', c == '\\'
		case c == '"':
			s.text = true
		case c == '{' || c == '[':
			if s.depth == MaxDepth {
				return i, false, ErrTooDeep
			}
			s.open(c == '[')
		case c == '}' || c == ']':
			if !s.close(c == ']') {
				return i, false, ErrMismatch
			}
			if s.depth == 0 {
				return i + 1, true, nil
			}
		}
	}
	return len(p), false, nil
}

func (s *Scanner) open(square bool) {
	bit := uint64(1) << s.depth
	s.squares &^= bit
	if square {
		s.squares |= bit
	}
	s.depth++
}

// close says whether the bracket fits.
func (s *Scanner) close(square bool) bool {
	s.depth--
	return s.squares>>s.depth&1 == 1 == square
}

package stream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/OdyseeTeam/prism/blob"
)

// ErrNotSD: the bytes are not an SD blob that could be taken in.
var ErrNotSD = errors.New("not an SD blob")

// SD is what taking in a stream needs of its SD blob.
type SD struct {
	// StreamHash is as it stands there, not empty. Whether it is the right one was not checked.
	StreamHash string
	// Blobs are the content blobs in the order of the list, each once. The entry that ends the list has no hash.
	Blobs []blob.Hash
	// Lengths are those of Blobs in turn, in bytes as they stand there, or 0 where none stands that a blob can have.
	Lengths []int
}

// ParseSD reads an SD blob for ingestion, which takes every JSON object that has a stream_hash: numbers, IVs, lengths,
// the end of the list and stream_hash itself are not checked, since older streams differ in them. What is demanded of
// the list of blobs is that each hash in it is one, because a stream is complete only when all of them are stored. A
// stream without a list has no content blobs. Of a key that is there twice the last counts. data is only read. Errors:
// ErrNotSD.
//
// The cost is in proportion to data; of memory it takes 56 bytes for each hash, and as much again to find repeated ones.
func ParseSD(data []byte) (SD, error) {
	if len(data) > blob.MaxSize {
		return SD{}, fmt.Errorf("%w: %w", ErrNotSD, blob.ErrTooBig)
	}
	if !json.Valid(data) {
		return SD{}, fmt.Errorf("%w: not JSON", ErrNotSD)
	}
	w := walker{rest: data}
	var sd SD
	err := w.object(func(key string) error {
		var err error
		switch key {
		case "stream_hash":
			sd.StreamHash, err = w.text()
		case "blobs":
			sd.Blobs, sd.Lengths, err = w.blobs()
		default:
			w.skip()
		}
		return err
	})
	if err == nil && sd.StreamHash == "" {
		err = errors.New("no stream_hash")
	}
	if err != nil {
		return SD{}, fmt.Errorf("%w: %w", ErrNotSD, err)
	}
	return sd, nil
}

// walker goes through JSON that is known to be valid. It copies nothing but what is asked for.
type walker struct{ rest []byte }

// blobs reads the list of blobs.
func (w *walker) blobs() (list []blob.Hash, lengths []int, err error) {
	if w.null() {
		return nil, nil, nil
	}
	known := map[blob.Hash]struct{}{}
	err = w.array(func() error {
		text, length := "", 0
		err := w.object(func(key string) error {
			var err error
			switch key {
			case "blob_hash":
				text, err = w.text()
			case "length":
				length = w.length()
			default:
				w.skip()
			}
			return err
		})
		if err != nil || text == "" {
			return err
		}
		h, err := blob.ParseHash(text)
		if err != nil {
			return err
		}
		if _, ok := known[h]; !ok {
			known[h] = struct{}{}
			list, lengths = append(list, h), append(lengths, length)
		}
		return nil
	})
	return list, lengths, err
}

// length reads a value of any kind: the number of bytes of a blob, or 0 for everything else.
func (w *walker) length() int {
	w.peek()
	from := w.rest
	w.skip()
	n, err := strconv.Atoi(string(from[:len(from)-len(w.rest)]))
	if err != nil || n < 1 || n > blob.MaxSize {
		return 0
	}
	return n
}

// peek is the first byte of what comes next.
func (w *walker) peek() byte {
	w.rest = bytes.TrimLeft(w.rest, " \t\r\n")
	return w.rest[0]
}

// take goes past the next byte if it is c.
func (w *walker) take(c byte) bool {
	if w.peek() != c {
		return false
	}
	w.rest = w.rest[1:]
	return true
}

// object calls value for each key; value goes past the key's value.
func (w *walker) object(value func(key string) error) error {
	if !w.take('{') {
		return errors.New("an object is missing")
	}
	for !w.take('}') {
		key, err := w.text()
		if err != nil {
			return err
		}
		w.take(':')
		if err := value(key); err != nil {
			return err
		}
		w.take(',')
	}
	return nil
}

// array calls element for each element; element goes past it.
func (w *walker) array(element func() error) error {
	if !w.take('[') {
		return errors.New("a list is missing")
	}
	for !w.take(']') {
		if err := element(); err != nil {
			return err
		}
		w.take(',')
	}
	return nil
}

// null goes past null.
func (w *walker) null() bool {
	if w.peek() != 'n' {
		return false
	}
	w.skip()
	return true
}

// text reads a string; null is an empty one.
func (w *walker) text() (string, error) {
	if w.null() {
		return "", nil
	}
	if w.peek() != '"' {
		return "", errors.New("a text is missing")
	}
	from := w.rest
	w.skipText()
	raw := from[:len(from)-len(w.rest)]
	if bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return string(raw[1 : len(raw)-1]), nil
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err
}

// skipText goes past a string.
func (w *walker) skipText() {
	i := 1
	for w.rest[i] != '"' {
		if w.rest[i] == '\\' {
			i++
		}
		i++
	}
	w.rest = w.rest[i+1:]
}

// skip goes past a value of any kind.
func (w *walker) skip() {
	depth := 0
	for {
		switch w.peek() {
		case '"':
			w.skipText()
		case '{', '[':
			depth++
			w.rest = w.rest[1:]
		case '}', ']':
			depth--
			w.rest = w.rest[1:]
		case ',', ':':
			w.rest = w.rest[1:]
			continue // only inside of something
		default:
			w.rest = w.rest[bytes.IndexAny(w.rest, " \t\r\n,:]}"):] // a number or a word, inside of something
		}
		if depth == 0 {
			return
		}
	}
}

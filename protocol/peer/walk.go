package peer

import (
	"encoding/json"
	"fmt"

	"github.com/OdyseeTeam/prism/internal/jsonscan"
)

// members calls f with each key of an object and its value, nulls left out, until one fails. Errors: ErrSyntax,
// ErrTooDeep, and f's.
func members(object []byte, f func(key string, value []byte) error) error {
	if len(object) == 0 || object[0] != '{' {
		return ErrSyntax
	}
	n, err := jsonscan.End(object)
	switch {
	case err != nil:
		return ours(err)
	case n < len(object) || !json.Valid(object):
		return ErrSyntax
	}
	w := walk{p: object, i: 1}
	for w.more('}') {
		key := textOf(w.value())
		w.skip(':')
		value := w.value()
		if isNull(value) {
			continue
		}
		if err := f(key, value); err != nil {
			return err
		}
	}
	return nil
}

// elements calls f with each element of a list.
func elements(list []byte, f func(value []byte)) {
	w := walk{p: list, i: 1}
	for w.more(']') {
		f(w.value())
	}
}

// walk goes through JSON that is valid.
type walk struct {
	p []byte
	i int
}

// more says whether a value comes before the bracket that ends this level.
func (w *walk) more(end byte) bool {
	w.skip(',')
	return w.p[w.i] != end
}

// skip goes over blanks, and one mark among them if it is there.
func (w *walk) skip(mark byte) {
	for isBlank(w.p[w.i]) || w.p[w.i] == mark {
		w.i++
	}
}

// value goes over the value that starts here.
func (w *walk) value() []byte {
	start := w.i
	switch w.p[start] {
	case '"':
		for w.i++; w.p[w.i] != '"'; w.i++ {
			if w.p[w.i] == '\\' {
				w.i++
			}
		}
		w.i++
	case '{', '[':
		n, _ := jsonscan.End(w.p[start:]) // the whole was scanned before
		w.i += n
	default:
		for !isAfterValue(w.p[w.i]) {
			w.i++
		}
	}
	return w.p[start:w.i]
}

func isAfterValue(c byte) bool { return isBlank(c) || c == ',' || c == '}' || c == ']' }

func isNull(value []byte) bool { return string(value) == "null" }

// textOf is the content of a JSON string; what it escapes badly becomes U+FFFD.
func textOf(value []byte) string {
	for _, c := range value {
		if c == '\\' {
			var s string
			_ = json.Unmarshal(value, &s) // valid already
			return s
		}
	}
	return string(value[1 : len(value)-1])
}

func isText(value []byte) bool { return value[0] == '"' }

func malformed(key, want string) error {
	return fmt.Errorf("%w: %s is not %s", ErrMalformed, key, want)
}

package jsonscan_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/internal/jsonscan"
)

// scan gives data to a scanner in pieces of n bytes, and says how many of them are the object.
func scan(data string, limit, n int) (end int, done bool, err error) {
	s := jsonscan.New(limit)
	for at := 0; at < len(data); at += n {
		k, done, err := s.Scan([]byte(data[at:min(len(data), at+n)]))
		if done || err != nil {
			return at + k, done, err
		}
	}
	return len(data), false, nil
}

func TestScan(t *testing.T) {
	deep := func(n int) string { return `{"a":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + "}" }
	for _, c := range []struct {
		data string
		end  int // of the object; 0: it does not end
		err  error
	}{
		{`{}`, 2, nil},
		{`{}{}`, 2, nil},
		{`{"a":{"b":[1,{"c":2}]}}xyz`, 23, nil},
		{`{"a":"}}"}`, 10, nil},
		{`{"a":"\"}"}`, 11, nil},
		{`{"a":"\\"}}`, 10, nil},
		{`{"a":"\\\"}"}`, 13, nil},
		{"{\"\x00\xff\":\"\u2028}\"} ", 13, nil},
		{deep(jsonscan.MaxDepth) + "{", 2*jsonscan.MaxDepth + 4, nil},
		{``, 0, nil},
		{`{`, 0, nil},
		{`{"a":"}`, 0, nil},
		{`{"a":"\"}`, 0, nil},
		{`{[}`, 0, jsonscan.ErrMismatch},
		{`{]`, 0, jsonscan.ErrMismatch},
		{`{"a":[}]}`, 0, jsonscan.ErrMismatch},
		{` {}`, 0, jsonscan.ErrNotObject},
		{`[{}]`, 0, jsonscan.ErrNotObject},
		{"\ufeff{}", 0, jsonscan.ErrNotObject},
		{deep(jsonscan.MaxDepth + 1), 0, jsonscan.ErrTooDeep},
		{deep(100_000), 0, jsonscan.ErrTooDeep},
	} {
		for _, n := range []int{1, 2, 3, 7, 1 << 20} {
			end, done, err := scan(c.data, 1<<20, n)
			if !errors.Is(err, c.err) || done != (c.end > 0) || done && end != c.end {
				t.Errorf("%.40q by %d: end %d, done %v, error %v; want end %d, error %v", c.data, n, end, done, err, c.end, c.err)
			}
		}
	}
}

func TestLimit(t *testing.T) {
	const object = `{"a":12345}`
	for limit := range len(object) + 3 {
		want := error(nil)
		if limit < len(object) {
			want = jsonscan.ErrTooLong
		}
		for _, n := range []int{1, 4, 100} {
			end, done, err := scan(object+"{", limit, n)
			if !errors.Is(err, want) || done != (want == nil) || end > max(limit, len(object)) {
				t.Errorf("limit %d by %d: end %d, done %v, error %v, want %v", limit, n, end, done, err, want)
			}
		}
	}
}

func TestReset(t *testing.T) {
	s := jsonscan.New(12)
	for _, object := range []string{`{"a":[1,2]}`, `{"b":"\\"}`, `{}`} {
		if n, done, err := s.Scan([]byte(object)); n != len(object) || !done || err != nil {
			t.Errorf("%q: %d, %v, %v", object, n, done, err)
		}
		s.Reset()
	}
}

func TestEnd(t *testing.T) {
	for _, c := range []struct {
		data string
		end  int
		err  error
	}{
		{`{"a":[1]}{}`, 9, nil},
		{`[[],{"a":"]"}],1`, 14, nil},
		{`[1`, 2, io.ErrUnexpectedEOF},
		{``, 0, io.ErrUnexpectedEOF},
		{`[1}`, 2, jsonscan.ErrMismatch},
		{`"a"`, 0, jsonscan.ErrNotObject},
		{strings.Repeat("[", jsonscan.MaxDepth+1), jsonscan.MaxDepth, jsonscan.ErrTooDeep},
	} {
		if end, err := jsonscan.End([]byte(c.data)); end != c.end || !errors.Is(err, c.err) {
			t.Errorf("%.40q: end %d, error %v; want %d, %v", c.data, end, err, c.end, c.err)
		}
	}
}

// What encoding/json takes for the first value of the bytes is what the scanner takes for it, in pieces of any size.
func FuzzScan(f *testing.F) {
	f.Add([]byte(`{"a":"}\\","b":[{},[]]}{"c":1}`), byte(1))
	f.Add([]byte(`{"a":"\u007d"}`), byte(3))
	f.Add([]byte(`{"a":[}]}`), byte(2))
	f.Add([]byte("{\xff\"\x00"), byte(9))
	f.Fuzz(func(t *testing.T, data []byte, piece byte) {
		end, done, err := scan(string(data), 1<<16, int(piece)+1)
		if whole, wasDone, e := scan(string(data), 1<<16, 1<<20); whole != end || wasDone != done || !errors.Is(e, err) {
			t.Fatalf("%q by %d: %d, %v, %v; whole: %d, %v, %v", data, piece, end, done, err, whole, wasDone, e)
		}
		if len(data) == 0 || data[0] != '{' || len(data) > 1<<16 || errors.Is(err, jsonscan.ErrTooDeep) {
			return
		}
		var value json.RawMessage
		d := json.NewDecoder(bytes.NewReader(data))
		switch e := d.Decode(&value); {
		case e == nil:
			if !done || int64(end) != d.InputOffset() {
				t.Fatalf("%q: end %d, %v, %v; encoding/json ends at %d", data, end, done, err, d.InputOffset())
			}
		case errors.Is(e, io.ErrUnexpectedEOF):
			if done || err != nil {
				t.Fatalf("%q: end %d, %v, %v; encoding/json wants more", data, end, done, err)
			}
		}
	})
}

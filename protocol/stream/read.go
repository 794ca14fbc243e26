package stream

import (
	"bytes"
	"crypto/aes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/OdyseeTeam/prism/blob"
)

// Read reads an SD blob to get the file of its stream, and so demands all that ParseSD does not: every key, in any order
// (older streams have another one); entries that are numbered from 0 on; lengths that AES can have made; the entry that
// ends the list; and the stream_hash that all of it gives. Keys that it does not know are passed over. data is only read.
// Errors: ErrNotSD, which says what is wrong.
func Read(data []byte) (*Descriptor, error) {
	if len(data) > blob.MaxSize {
		return nil, fmt.Errorf("%w: %w", ErrNotSD, blob.ErrTooBig)
	}
	if !json.Valid(data) {
		return nil, fmt.Errorf("%w: not JSON", ErrNotSD)
	}
	d, err := read(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotSD, err)
	}
	return d, nil
}

// read reads JSON that is valid.
func read(data []byte) (*Descriptor, error) {
	w := walker{rest: data}
	texts := map[string]string{}
	var list *reading
	err := w.object(func(key string) (err error) {
		switch key {
		case "stream_name", "stream_type", "key", "suggested_file_name", "stream_hash":
			texts[key], err = w.text()
		case "blobs":
			list, err = w.entries()
		default:
			w.skip()
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", key, err)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if list == nil {
		return nil, errors.New("the key blobs is missing")
	}
	if !list.ended {
		return nil, errors.New("blobs: the entry that ends the list, of length 0 and without a hash, is missing")
	}
	for _, key := range []string{"stream_name", "stream_type", "key", "suggested_file_name", "stream_hash"} {
		if texts[key] == "" {
			return nil, fmt.Errorf("the key %s is missing or empty", key)
		}
	}
	if want := list.sum.stream(texts["stream_name"], texts["key"], texts["suggested_file_name"]); want != texts["stream_hash"] {
		return nil, fmt.Errorf("stream_hash is %.100q, and what it stands for gives %s", texts["stream_hash"], want)
	}
	d := &Descriptor{Type: texts["stream_type"], Blobs: list.blobs, End: list.end}
	if err := unhex(d.Key[:], texts["key"]); err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	for key, to := range map[string]*string{"stream_name": &d.Name, "suggested_file_name": &d.SuggestedName} {
		raw, err := hex.DecodeString(texts[key])
		if err != nil {
			return nil, fmt.Errorf("%s: not hexadecimal", key)
		}
		*to = string(raw)
	}
	return d, nil
}

// reading is a list of blobs of which some was read.
type reading struct {
	blobs []Content
	end   IV
	ended bool
	sum   *summer
}

// entries reads the list of blobs.
func (w *walker) entries() (*reading, error) {
	l := &reading{sum: newSummer()}
	num := 0
	err := w.array(func() error {
		err := w.entry(l, num)
		if err != nil {
			return fmt.Errorf("entry %d: %w", num, err)
		}
		num++
		return nil
	})
	return l, err
}

// entry reads one entry.
func (w *walker) entry(l *reading, num int) error {
	var hashText, ivText string
	got, length := -1, -1
	err := w.object(func(key string) (err error) {
		switch key {
		case "blob_hash":
			hashText, err = w.text()
		case "iv":
			ivText, err = w.text()
		case "blob_num":
			got, err = w.number()
		case "length":
			length, err = w.number()
		default:
			w.skip()
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", key, err)
		}
		return err
	})
	var c Content
	switch {
	case err != nil:
		return err
	case l.ended:
		return errors.New("it comes after the one of length 0 that ends the list")
	case got != num:
		return fmt.Errorf("blob_num is %s, want %d", orNone(got), num)
	case length < 0:
		return errors.New("there is no length")
	case length > blob.MaxSize:
		return fmt.Errorf("length is %d, more than 2 MiB", length)
	case length%aes.BlockSize != 0:
		return fmt.Errorf("length is %d, which is no multiple of %d", length, aes.BlockSize)
	case length == 0 && hashText != "":
		return errors.New("it has a blob_hash, and length 0")
	}
	if err := unhex(c.IV[:], ivText); err != nil {
		return fmt.Errorf("iv: %w", err)
	}
	l.sum.entry(hashText, num, ivText, length)
	if length == 0 {
		l.ended, l.end = true, c.IV
		return nil
	}
	if c.Hash, err = blob.ParseHash(hashText); err != nil {
		return fmt.Errorf("blob_hash: %w", err)
	}
	c.Length = length
	l.blobs = append(l.blobs, c)
	return nil
}

func orNone(n int) string {
	if n < 0 {
		return "missing"
	}
	return strconv.Itoa(n)
}

// number reads a number that is whole and not negative.
func (w *walker) number() (int, error) {
	w.peek()
	from := w.rest
	w.skip()
	raw := bytes.TrimRight(from[:len(from)-len(w.rest)], " \t\r\n")
	n, err := strconv.ParseUint(string(raw[:min(len(raw), 30)]), 10, 31)
	if err != nil {
		return 0, fmt.Errorf("want a whole number, not %.30q", raw)
	}
	return int(n), nil
}

// unhex reads a text of 2*len(to) hexadecimal digits.
func unhex(to []byte, text string) error {
	if len(text) != hex.EncodedLen(len(to)) {
		return fmt.Errorf("%d characters, want %d", len(text), hex.EncodedLen(len(to)))
	}
	if _, err := hex.Decode(to, []byte(text)); err != nil {
		return errors.New("not hexadecimal")
	}
	return nil
}

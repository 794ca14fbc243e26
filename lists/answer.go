package lists

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/OdyseeTeam/prism/blob"
)

// answered is what became of the entries of a list.
type answered struct {
	good, bad int
}

func (a answered) check() error {
	if a.good == 0 && a.bad > 0 {
		return fmt.Errorf("none of the %d entries of the list can be read", a.bad)
	}
	return nil
}

// readBlocked reads {"success":true,"data":{"outpoints":["TXID:NOUT",…]}}.
func readBlocked(r io.Reader) ([]outpoint, answered, error) {
	var all []outpoint
	var n answered
	there := false
	err := readAnswer(r, func(d *json.Decoder) error {
		return readKeys(d, func(key string) error {
			if key != "outpoints" {
				return skipValue(d)
			}
			there = true
			return readItems(d, func() error {
				text, ok, err := readValue[string](d)
				if err != nil {
					return err
				}
				o, err := parseOutpoint(text)
				if !ok || err != nil {
					n.bad++
					return nil
				}
				n.good++
				all = append(all, o)
				return nil
			})
		})
	})
	if err == nil && !there {
		err = errors.New("it has no list of outpoints")
	}
	if err == nil {
		err = n.check()
	}
	return all, n, err
}

// readProtected reads {"success":true,"data":[{"sd_hash":H,…},…]}.
func readProtected(r io.Reader) ([]blob.Hash, answered, error) {
	var all []blob.Hash
	var n answered
	err := readAnswer(r, func(d *json.Decoder) error {
		return readItems(d, func() error {
			item, ok, err := readValue[struct {
				SDHash string `json:"sd_hash"`
			}](d)
			if err != nil {
				return err
			}
			h, err := blob.ParseHash(item.SDHash)
			if !ok || err != nil {
				n.bad++
				return nil
			}
			n.good++
			all = append(all, h)
			return nil
		})
	})
	if err == nil {
		err = n.check()
	}
	return all, n, err
}

// readAnswer reads an answer of the API to its end; data reads the value of that key. An answer that says that it failed,
// or has no data, is an error.
func readAnswer(r io.Reader, data func(*json.Decoder) error) error {
	d := json.NewDecoder(r)
	var success, there bool
	var why json.RawMessage
	err := readKeys(d, func(key string) (err error) {
		switch key {
		case "success":
			success, _, err = readValue[bool](d)
		case "error":
			why, _, err = readValue[json.RawMessage](d)
		case "data":
			there = true
			err = data(d)
			if errors.Is(err, errNull) {
				there, err = false, nil
			}
		default:
			err = skipValue(d)
		}
		return err
	})
	if err == nil {
		switch _, behind := d.Token(); behind {
		case io.EOF:
		case nil:
			err = errors.New("there is more behind the JSON")
		default:
			err = fmt.Errorf("behind the JSON: %w", behind)
		}
	}
	switch {
	case err == io.EOF:
		return errors.New("it is empty")
	case err != nil:
		return err
	case !success:
		return fmt.Errorf("the server says that it failed: %s", shown(string(why)))
	case !there:
		return errors.New("it has no data")
	}
	return nil
}

var errNull = errors.New("null where a value belongs")

// open takes the first token of an object or a list. A null there is errNull.
func open(d *json.Decoder, want json.Delim) error {
	got, err := d.Token()
	switch {
	case err != nil:
		return err
	case got == nil:
		return errNull
	case got != want:
		return fmt.Errorf("%s where %s belongs", shown(fmt.Sprint(got)), want)
	}
	return nil
}

// readKeys calls fn for each key of an object, at its value.
func readKeys(d *json.Decoder, fn func(key string) error) error {
	if err := open(d, '{'); err != nil {
		return err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		text, _ := key.(string) // the decoder takes nothing else for a key
		if err := fn(text); err != nil {
			return whole(err)
		}
	}
	_, err := d.Token()
	return whole(err)
}

// readItems calls fn for each item of a list.
func readItems(d *json.Decoder, fn func() error) error {
	if err := open(d, '['); err != nil {
		return err
	}
	for d.More() {
		if err := fn(); err != nil {
			return whole(err)
		}
	}
	_, err := d.Token()
	return whole(err)
}

// whole is err, but that an end within a value is no end.
func whole(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// readValue reads one value; ok is false for one that is no T.
func readValue[T any](d *json.Decoder) (v T, ok bool, err error) {
	err = d.Decode(&v)
	if _, other := errors.AsType[*json.UnmarshalTypeError](err); other {
		return v, false, nil
	}
	return v, err == nil, err
}

func skipValue(d *json.Decoder) error {
	_, _, err := readValue[json.RawMessage](d)
	return err
}

// shown is text of somebody else for a log: short, and without control characters.
func shown(text string) string {
	const most = 200
	if len(text) > most {
		text = text[:most] + "…"
	}
	return fmt.Sprintf("%q", text)
}

package index

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/OdyseeTeam/prism/blob"
)

// Dump reads what View.WriteTo wrote. Its methods are called once each, in this order: Meta, Segments, All, Order. After
// Order without an error all rows were there. Errors: ErrCorrupt where the index is, of where the dump comes from or by a
// row in it; what kept it from being whole otherwise. It is not safe for concurrent use.
type Dump struct {
	r     *bufio.Reader
	key   []byte // of the row that was read and not used; nil: there is none
	val   []byte
	buf   [2 * maxRow]byte
	begun bool
	ended bool
	rows  uint64
}

// ErrDump: the bytes are no dump, or not a whole one.
var ErrDump = errors.New("these are not all rows of an index")

// NewDump reads a dump from r. Who owns r closes it.
func NewDump(r io.Reader) *Dump { return &Dump{r: bufio.NewReaderSize(r, dumpChunk)} }

// Meta gives the meta row, and whether there is one.
func (d *Dump) Meta() (Meta, bool, error) {
	if ok, err := d.next(tagMeta); !ok || err != nil {
		return Meta{}, false, err
	}
	m, newer, why := decodeMeta(d.val)
	if newer {
		return Meta{}, false, fmt.Errorf("index: read dump: %w", ErrNewerFormat)
	}
	return m, true, d.used(why)
}

// Segments gives all segment rows, by ascending ID.
func (d *Dump) Segments() ([]SegmentRow, error) {
	var rows []SegmentRow
	for {
		ok, err := d.next(tagSegment)
		if !ok || err != nil {
			return rows, err
		}
		r, why := decodeSegment(d.key, d.val)
		if err := d.used(why); err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
}

// All calls fn for every blob row, in the order of their hashes, and stops at the first error.
func (d *Dump) All(fn func(blob.Hash, Entry) error) error {
	for {
		ok, err := d.next(tagBlob)
		if !ok || err != nil {
			return err
		}
		if len(d.key) != blobKeySize {
			return d.used("not the key of a blob row")
		}
		h := blob.Hash(d.key[1:])
		e, why := decodeEntry(d.val)
		if err := d.used(why); err != nil {
			return err
		}
		if err := fn(h, e); err != nil {
			return err
		}
	}
}

// Order calls fn for every order row, from older to younger blobs, and stops at the first error.
func (d *Dump) Order(fn func(OrderRow) error) error {
	for {
		ok, err := d.next(tagOrder)
		if err != nil {
			return err
		}
		if !ok {
			if !d.ended {
				return fmt.Errorf("index: read dump: %w: a row is out of place", ErrDump)
			}
			return nil
		}
		var o OrderRow
		if err := d.used(decodeOrder(d.key, d.val, &o)); err != nil {
			return err
		}
		if err := fn(o); err != nil {
			return err
		}
	}
}

// used ends the use of a row, and says what is wrong with it.
func (d *Dump) used(why string) error {
	key := d.key
	d.key = nil
	if why == "" {
		return nil
	}
	return readError("read dump", &RowError{Key: append([]byte(nil), key...), Reason: why})
}

// next reads a row, unless there is one, and says whether it has the tag.
func (d *Dump) next(tag byte) (bool, error) {
	if d.key == nil && !d.ended {
		if err := d.read(); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				err = fmt.Errorf("%w: they end too early", ErrDump)
			}
			return false, fmt.Errorf("index: read dump: %w", err)
		}
	}
	return d.key != nil && d.key[0] == tag, nil
}

func (d *Dump) read() error {
	if !d.begun {
		var magic [len(dumpMagic)]byte
		if _, err := io.ReadFull(d.r, magic[:]); err != nil {
			return err
		}
		if string(magic[:]) != dumpMagic {
			return fmt.Errorf("%w: they begin with %q", ErrDump, magic[:])
		}
		d.begun = true
	}
	if _, err := io.ReadFull(d.r, d.buf[:2]); err != nil {
		return err
	}
	k, v := int(d.buf[0]), int(d.buf[1])
	if k == 0 {
		return d.end(v)
	}
	if k > maxRow || v > maxRow {
		return fmt.Errorf("%w: a row of %d and %d bytes", ErrDump, k, v)
	}
	if _, err := io.ReadFull(d.r, d.buf[:k+v]); err != nil {
		return err
	}
	d.key, d.val = d.buf[:k], d.buf[k:k+v]
	d.rows++
	return nil
}

// end reads what follows the last row.
func (d *Dump) end(kind int) error {
	if kind == dumpEnded {
		if _, err := io.ReadFull(d.r, d.buf[:8]); err != nil {
			return err
		}
		if n := binary.LittleEndian.Uint64(d.buf[:8]); n != d.rows {
			return fmt.Errorf("%w: %d rows, and %d were sent", ErrDump, d.rows, n)
		}
		d.ended = true
		return nil
	}
	if _, err := io.ReadFull(d.r, d.buf[:2]); err != nil {
		return err
	}
	text := make([]byte, min(binary.LittleEndian.Uint16(d.buf[:2]), maxMessage))
	if _, err := io.ReadFull(d.r, text); err != nil {
		return err
	}
	if kind == dumpDamaged {
		return fmt.Errorf("%w: %s", ErrCorrupt, text)
	}
	return fmt.Errorf("%w: %s", ErrDump, text)
}

package index

import "math"

// cursorChunk is how many order rows are read at once.
const cursorChunk = 256

// Cursor walks the eviction order from older to younger blobs. It reads rows in chunks and holds nothing in between, so
// that it may be kept for as long as one likes. A row may be gone, or be written, between its reading and its being
// given: whoever acts on it looks it up again. It is not safe for concurrent use.
type Cursor struct {
	x    *Index
	next uint64 // no row below it is wanted any more
	last bool   // the row with the highest number of all was read
	rows []OrderRow
	at   int
	err  error
}

// Cursor starts at the first row whose Seq is from or above.
func (x *Index) Cursor(from uint64) (*Cursor, error) {
	c := &Cursor{x: x, next: from, rows: make([]OrderRow, 0, cursorChunk)}
	c.fill()
	return c, c.err
}

// Next gives the next row, or false when there is none now or something failed. Rows that are written later, at the end
// of the order, can be had by asking again.
func (c *Cursor) Next() (OrderRow, bool) {
	if c.at == len(c.rows) {
		c.fill()
	}
	if c.at == len(c.rows) {
		return OrderRow{}, false
	}
	c.at++
	return c.rows[c.at-1], true
}

// Err is why Next has no more rows, or nil at the end of the order.
func (c *Cursor) Err() error { return c.err }

// Close ends the use of the cursor.
func (c *Cursor) Close() {
	c.rows, c.at = nil, 0
	if c.err == nil {
		c.err = ErrClosed
	}
}

func (c *Cursor) fill() {
	if c.err != nil || c.last {
		return
	}
	c.rows, c.at = c.rows[:0], 0
	c.err = c.x.scan(appendOrderKey(nil, c.next), []byte{tagOrder + 1}, func(k, v []byte) (string, bool) {
		var r OrderRow
		why := decodeOrder(k, v, &r)
		if why == "" {
			c.rows = append(c.rows, r)
		}
		return why, len(c.rows) < cursorChunk
	})
	if n := len(c.rows); n > 0 {
		c.last = c.rows[n-1].Seq == math.MaxUint64
		c.next = c.rows[n-1].Seq + 1
	}
}

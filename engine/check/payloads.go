package check

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/segments"
)

const (
	// gapBytes is the longest range between two payloads that is read along with them: skipping it costs a disk more.
	gapBytes = 64 << 10
	// maxReaders bounds the memory: each has its buffers.
	maxReaders = 48
	// waiting is how many pieces wait for a reader at most, so that the disk has something to do while the next tables are scanned.
	waiting = 64
)

// payloads reads the payloads of segments and compares them, while the tables of the next segments are scanned. Readers
// take pieces in the order of the disk, each with buffers of its own.
type payloads struct {
	*checker
	how    readers
	pieces chan piece
	wg     sync.WaitGroup

	ctx    context.Context // of the run; ends also when a reader cannot go on
	cancel context.CancelCauseFunc
}

// piece is a range of a segment that is read at once, in whole blocks, and the payloads in it, by offset. What lies
// between two of them, and behind each up to the end of its block, comes along.
type piece struct {
	seg      *segment
	from, to int64
	rows     []*row
}

// startPayloads starts the readers that the options ask for; without them there is nobody, and nothing is sent.
func (c *checker) startPayloads(ctx context.Context) *payloads {
	p := &payloads{checker: c, how: c.o.readers(), pieces: make(chan piece, waiting)}
	p.ctx, p.cancel = context.WithCancelCause(ctx)
	for i := range p.how.n {
		r := &reader{payloads: p, empty: make(chan *buffer, p.how.buffers), full: make(chan filled, p.how.buffers)}
		if len(p.how.lanes) > 0 {
			r.lanes = p.how.lanes[i%len(p.how.lanes)]
		}
		for range p.how.buffers {
			r.empty <- new(buffer)
		}
		p.wg.Go(r.read)
		p.wg.Go(r.compare)
	}
	return p
}

// readers are how many there are, and what each has.
type readers struct {
	n       int
	buffers int           // of each: more than one, and it reads while it compares
	bytes   int           // of a buffer: how much one read takes at most; the longest payload or more
	lanes   []*blob.Lanes // to hash with, shared by all; none: CRCs are compared
}

// readers says how a run reads. A CRC is quick: a reader reads one piece while it compares the one before, and a disk gets
// long reads without a pause. To hash on all processors it takes lanes for each of them, and readers for each lane.
func (o Options) readers() readers {
	processors := runtime.GOMAXPROCS(0)
	switch {
	case o.Hashes:
		const perProcessor = 10 // eight streams share a processor, and two are being read
		r := readers{n: min(perProcessor*processors, maxReaders), buffers: 1, bytes: blob.MaxSize}
		for range min(processors, max(1, r.n/perProcessor)) {
			r.lanes = append(r.lanes, blob.NewLanes())
		}
		return r
	case o.Payloads:
		return readers{n: min((processors+1)/2, 8), buffers: 2, bytes: 2 * blob.MaxSize}
	}
	return readers{}
}

// send hands the live payloads of a segment over. An error ends the run.
func (p *payloads) send(s *segment) error {
	slices.SortFunc(s.live, func(a, b *row) int { return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(a.slot, b.slot)) })
	for rest := s.live; len(rest) > 0; {
		var x piece
		x, rest = cut(rest, p.how.bytes)
		x.seg = s
		s.hold()
		select {
		case p.pieces <- x:
		case <-p.ctx.Done():
			s.letGo()
			return context.Cause(p.ctx)
		}
	}
	return nil
}

// cut takes the next piece off payloads that are sorted by offset: as many as lie close together, in most bytes.
func cut(rows []*row, most int) (piece, []*row) {
	x := piece{from: rows[0].offset, to: rows[0].end()}
	n := 1
	for ; n < len(rows); n++ {
		to := max(x.to, rows[n].end())
		if rows[n].offset > x.to+gapBytes || to > x.from+int64(most) {
			break
		}
		x.to = to
	}
	x.rows = rows[:n]
	return x, rows[n:]
}

// end waits for the readers to be through with all that was sent, and says why they could not.
func (p *payloads) end() error {
	close(p.pieces)
	p.wg.Wait()
	err := context.Cause(p.ctx)
	p.cancel(nil)
	return err
}

// reader is one of those that take pieces: a goroutine reads them, and another compares what was read.
type reader struct {
	*payloads
	lanes *blob.Lanes // nil: none
	empty chan *buffer
	full  chan filled
	again []byte // for a payload that is read once more; nil until there is one
}

// buffer is room for a piece. A small mount does not need all of them, so each is made when it is first used.
type buffer struct {
	bytes []byte // nil until then
	free  func()
}

// filled is a piece that was read.
type filled struct {
	piece
	buf *buffer
	n   int // how much of it was read, in bytes
}

// read reads pieces into buffers that are empty: a reader without one takes none, which another may read. Every piece goes
// on, and so its segment and its buffer are let go of.
func (r *reader) read() {
	defer close(r.full)
	for {
		buf := <-r.empty
		x, ok := <-r.pieces
		if !ok {
			r.empty <- buf
			return
		}
		f := filled{piece: x, buf: buf}
		if r.ctx.Err() == nil {
			if err := r.fill(&f); err != nil {
				r.cancel(err)
			}
		}
		r.full <- f
	}
}

// fill reads a piece. What could not be read is missing in it, and compare reads it once more.
func (r *reader) fill(f *filled) error {
	if err := r.wait(r.ctx, int(f.to-f.from)); err != nil {
		return err
	}
	if f.buf.bytes == nil {
		f.buf.bytes, f.buf.free = diskfs.AlignedHuge(r.how.bytes)
	}
	f.n, _ = f.seg.file.ReadBlocks(f.buf.bytes[:f.to-f.from], f.from)
	return nil
}

// compare compares all payloads in the pieces that were read. It ends after read, when all buffers are back.
func (r *reader) compare() {
	for f := range r.full {
		if r.ctx.Err() == nil {
			if err := r.prove(f); err != nil {
				r.cancel(err)
			}
		}
		f.seg.letGo()
		r.empty <- f.buf
	}
	for range r.how.buffers {
		if b := <-r.empty; b.bytes != nil {
			b.free()
		}
	}
}

// prove compares all payloads in a piece.
func (r *reader) prove(f filled) error {
	for _, row := range f.rows {
		if err := context.Cause(r.ctx); err != nil {
			return err
		}
		at := int(row.offset - f.from)
		end := at + int(row.length)
		if end <= f.n && r.provePayload(f.seg, row, f.buf.bytes[at:end]) {
			continue
		}
		if err := r.wait(r.ctx, int(row.length)); err != nil {
			return err
		}
		r.readAgain(f.seg, row)
	}
	r.mu.Lock()
	r.rep.Read += int64(len(f.rows))
	r.mu.Unlock()
	r.passed(lengths(f.rows))
	return nil
}

// wait waits until n bytes may be read.
func (c *checker) wait(ctx context.Context, n int) error {
	if c.o.Limit == nil {
		return nil
	}
	for ; n > blob.MaxSize; n -= blob.MaxSize {
		if err := c.o.Limit.WaitN(ctx, blob.MaxSize); err != nil {
			return err
		}
	}
	return c.o.Limit.WaitN(ctx, n)
}

// provePayload compares the bytes of a payload with its CRC, and with its name where that is asked for. It says whether
// the CRC is right.
func (r *reader) provePayload(s *segment, row *row, data []byte) bool {
	if !r.o.Hashes {
		return segments.ChecksumRead(data) == row.crc
	}
	v, err := r.lanes.Verify(row.hash, data)
	switch {
	case err == nil:
		return v.CRC32C() == row.crc
	case segments.Checksum(data) != row.crc:
		return false
	}
	s.fault(WrongHash, row, "its bytes are those of %s", blob.Sum(data))
	return true
}

// readAgain reads one payload by itself and through the page cache, as the program and a repair do, so that a finding
// names the one blob that it is about, and says what they would meet.
func (r *reader) readAgain(s *segment, row *row) {
	if r.again == nil {
		r.again = make([]byte, blob.MaxSize)
	}
	switch err := s.file.ReadPayload(row.location(s.id), r.again); {
	case errors.Is(err, blob.ErrCorrupt):
		s.fault(Payload, row, "%v", err)
	case err != nil:
		s.fault(Unreadable, row, "%v", err)
	default:
		r.provePayload(s, row, r.again[:row.length])
	}
}

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
	// waiting is how many pieces wait for a reader at most, so that the disk has something to do while the next tables are scanned.
	waiting = 64
)

// payloads reads the payloads of segments and compares them, while the tables of the next segments are scanned. Readers
// take pieces in the order of the disk, and comparers take what was read, each piece in a buffer that goes back to the readers.
type payloads struct {
	*checker
	how     team
	pieces  chan piece
	empty   chan *buffer // to read into
	full    chan filled  // to be compared
	reading sync.WaitGroup
	all     sync.WaitGroup

	ctx    context.Context // of the run; ends also when one of the team cannot go on
	cancel context.CancelCauseFunc
}

// piece is a range of a segment that is read at once, in whole blocks, and the payloads in it, by offset. What lies
// between two of them, and behind each up to the end of its block, comes along.
type piece struct {
	seg      *segment
	from, to int64
	rows     []*row
}

// startPayloads starts the team that the options ask for; without them there is nobody, and nothing is sent.
func (c *checker) startPayloads(ctx context.Context) *payloads {
	how := c.o.team()
	p := &payloads{
		checker: c, how: how,
		pieces: make(chan piece, waiting), empty: make(chan *buffer, how.buffers), full: make(chan filled, how.buffers),
	}
	p.ctx, p.cancel = context.WithCancelCause(ctx)
	for range how.buffers {
		p.empty <- new(buffer)
	}
	for range how.readers {
		p.reading.Go(p.read)
	}
	p.all.Go(func() { p.reading.Wait(); close(p.full) })
	for i := range how.comparers {
		r := &comparer{payloads: p}
		if len(how.lanes) > 0 {
			r.lanes = how.lanes[i%len(how.lanes)]
		}
		p.all.Go(r.compare)
	}
	return p
}

// team is who reads and who compares, and with what.
type team struct {
	readers, comparers int
	buffers            int           // that go round between them: each is empty, read into, or compared
	bytes              int           // of a buffer: the longest payload or more
	lanes              []*blob.Lanes // to hash with, shared by all; none: CRCs are compared
}

// team says how a run reads. A CRC is quick, so one comparer is enough for two processors, and for two readers: a disk gets
// long reads without a pause. To hash on all processors it takes lanes for each of them, and eight streams for each lane; whatever
// buffer is not hashed is read into.
func (o Options) team() team {
	processors := runtime.GOMAXPROCS(0)
	switch {
	case o.Hashes:
		const most = 4 // of lanes: buffers are 80 MiB then
		var lanes []*blob.Lanes
		for range min(processors, most) {
			lanes = append(lanes, blob.NewLanes())
		}
		n := len(lanes)
		return team{readers: 10 * n, comparers: 8 * n, buffers: 10 * n, bytes: blob.MaxSize, lanes: lanes}
	case o.Payloads:
		r, n := max(2, min(processors, 16)), min((processors+1)/2, 8)
		return team{readers: r, comparers: n, buffers: r + n, bytes: 2 * blob.MaxSize}
	}
	return team{}
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

// end waits until all that was sent is compared, and says why it could not be.
func (p *payloads) end() error {
	close(p.pieces)
	p.all.Wait()
	close(p.empty)
	for b := range p.empty {
		if b.bytes != nil {
			b.free()
		}
	}
	err := context.Cause(p.ctx)
	p.cancel(nil)
	return err
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
func (p *payloads) read() {
	for {
		buf := <-p.empty
		x, ok := <-p.pieces
		if !ok {
			p.empty <- buf
			return
		}
		f := filled{piece: x, buf: buf}
		if p.ctx.Err() == nil {
			if err := p.fill(&f); err != nil {
				p.cancel(err)
			}
		}
		p.full <- f
	}
}

// fill reads a piece. What could not be read is missing in it, and compare reads it once more.
func (p *payloads) fill(f *filled) error {
	if err := p.wait(p.ctx, int(f.to-f.from)); err != nil {
		return err
	}
	if f.buf.bytes == nil {
		f.buf.bytes, f.buf.free = diskfs.AlignedHuge(p.how.bytes)
	}
	f.n, _ = f.seg.file.ReadBlocks(f.buf.bytes[:f.to-f.from], f.from)
	return nil
}

// comparer is a goroutine that compares what was read.
type comparer struct {
	*payloads
	lanes *blob.Lanes // nil: none
	again []byte      // for a payload that is read once more; nil until there is one
}

// compare compares all payloads in the pieces that were read.
func (r *comparer) compare() {
	for f := range r.full {
		if r.ctx.Err() == nil {
			if err := r.prove(f); err != nil {
				r.cancel(err)
			}
		}
		f.seg.letGo()
		r.empty <- f.buf
	}
}

// prove compares all payloads in a piece.
func (r *comparer) prove(f filled) error {
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
func (r *comparer) provePayload(s *segment, row *row, data []byte) bool {
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
func (r *comparer) readAgain(s *segment, row *row) {
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

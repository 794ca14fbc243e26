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
	// pieceBytes is how much one read takes at most, in bytes: the longest payload, or many short ones.
	pieceBytes = blob.MaxSize
	// gapBytes is the longest range between two payloads that is read along with them: skipping it costs a disk more.
	gapBytes = 64 << 10
	// maxReaders bounds the memory: each has a buffer of pieceBytes.
	maxReaders = 48
)

// payloads reads the payloads of segments and compares them, while the tables of the next segments are scanned. Readers
// take pieces in the order of the disk, each with a buffer of its own; while some wait for the disk, others compare.
type payloads struct {
	c      *checker
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
	p := &payloads{c: c, pieces: make(chan piece)}
	p.ctx, p.cancel = context.WithCancelCause(ctx)
	readers, lanes := c.o.readers()
	for i := range readers {
		var l *blob.Lanes
		if len(lanes) > 0 {
			l = lanes[i%len(lanes)]
		}
		p.wg.Go(func() { p.read(l) })
	}
	return p
}

// readers says how many readers there are, and with what they hash. A CRC is quick: one reader reads while the other
// compares, and more buffers than that only leave the cache of the processor. To hash on all processors it takes lanes for each of them, and readers for each lane.
func (o Options) readers() (n int, lanes []*blob.Lanes) {
	processors := runtime.GOMAXPROCS(0)
	switch {
	case o.Hashes:
		const perProcessor = 10 // eight streams share a processor, and two are being read
		n = min(perProcessor*processors, maxReaders)
		for range min(processors, max(1, n/perProcessor)) {
			lanes = append(lanes, blob.NewLanes())
		}
	case o.Payloads:
		n = min(max(2, processors), 16)
	}
	return n, lanes
}

// send hands the live payloads of a segment over. An error ends the run.
func (p *payloads) send(s *segment) error {
	slices.SortFunc(s.live, func(a, b *row) int { return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(a.slot, b.slot)) })
	for rest := s.live; len(rest) > 0; {
		var x piece
		x, rest = cut(rest)
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

// cut takes the next piece off payloads that are sorted by offset: as many as lie close together.
func cut(rows []*row) (piece, []*row) {
	x := piece{from: rows[0].offset, to: rows[0].end()}
	n := 1
	for ; n < len(rows); n++ {
		to := max(x.to, rows[n].end())
		if rows[n].offset > x.to+gapBytes || to > x.from+pieceBytes {
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

// reader is one of the goroutines that read pieces.
type reader struct {
	*checker
	lanes *blob.Lanes // nil: none
	buf   []byte      // for pieces; nil until there is one
	free  func()      // gives buf back
	again []byte      // for a payload that is read once more; nil until there is one
}

func (p *payloads) read(lanes *blob.Lanes) {
	r := reader{checker: p.c, lanes: lanes, free: func() {}}
	defer func() { r.free() }()
	for x := range p.pieces {
		if p.ctx.Err() == nil {
			if err := r.prove(p.ctx, x); err != nil {
				p.cancel(err)
			}
		}
		x.seg.letGo()
	}
}

// prove reads a piece and compares all payloads in it.
func (r *reader) prove(ctx context.Context, x piece) error {
	if err := r.wait(ctx, int(x.to-x.from)); err != nil {
		return err
	}
	if r.buf == nil { // a small mount does not need those of all readers
		r.buf, r.free = diskfs.AlignedHuge(pieceBytes)
	}
	n, _ := x.seg.file.ReadBlocks(r.buf[:x.to-x.from], x.from)
	for _, row := range x.rows {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		at := int(row.offset - x.from)
		end := at + int(row.length)
		if end <= n && r.provePayload(x.seg, row, r.buf[at:end]) {
			continue
		}
		if err := r.wait(ctx, int(row.length)); err != nil {
			return err
		}
		r.readAgain(x.seg, row)
	}
	r.mu.Lock()
	r.rep.Read += int64(len(x.rows))
	r.mu.Unlock()
	r.passed(lengths(x.rows))
	return nil
}

// wait waits until n bytes may be read.
func (r *reader) wait(ctx context.Context, n int) error {
	if r.o.Limit == nil {
		return nil
	}
	return r.o.Limit.WaitN(ctx, n)
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

package check

import (
	"cmp"
	"context"
	"io"
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

// readers says how many readers there are, and with what they hash. For a CRC it takes enough to keep the disk busy. To
// hash on all processors it takes lanes for each of them, and readers for each lane.
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
		n = min(max(4, 2*processors), 16)
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

func (p *payloads) read(lanes *blob.Lanes) {
	var buf []byte // a small mount does not need them all
	for x := range p.pieces {
		if buf == nil {
			buf = diskfs.Aligned(pieceBytes)
		}
		if p.ctx.Err() == nil {
			if err := p.c.prove(p.ctx, x, buf, lanes); err != nil {
				p.cancel(err)
			}
		}
		x.seg.letGo()
	}
}

// prove reads a piece and compares all payloads in it. What cannot be read together is read blob by blob, so that a
// finding names the one that it is about.
func (c *checker) prove(ctx context.Context, x piece, buf []byte, lanes *blob.Lanes) error {
	if c.o.Limit != nil {
		if err := c.o.Limit.WaitN(ctx, int(x.to-x.from)); err != nil {
			return err
		}
	}
	n, _ := x.seg.file.ReadBlocks(buf[:x.to-x.from], x.from)
	got := x.from + int64(n) // the end of what was read
	for _, r := range x.rows {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if r.offset+int64(r.length) <= got {
			x.seg.provePayload(r, buf[r.offset-x.from:][:r.length], lanes)
			continue
		}
		got = 0 // buf is used again
		switch n, err := x.seg.file.ReadBlocks(buf[:r.end()-r.offset], r.offset); {
		case n >= int(r.length):
			x.seg.provePayload(r, buf[:r.length], lanes)
		case err == io.EOF:
			x.seg.fault(Payload, r, "the file ends after %d of its %d bytes", n, r.length)
		default:
			x.seg.fault(Unreadable, r, "%v", err)
		}
	}
	c.passedPiece(x)
	return nil
}

// passedPiece counts the payloads of a piece.
func (c *checker) passedPiece(x piece) {
	c.mu.Lock()
	c.rep.Read += int64(len(x.rows))
	c.mu.Unlock()
	c.passed(lengths(x.rows))
}

// badCRC notes a payload that is not what its slot says.
func (s *segment) badCRC(r *row) {
	s.fault(Payload, r, "checksum mismatch: its %d bytes do not have CRC %08x", r.length, r.crc)
}

// provePayload compares the bytes of a payload with its CRC, and with its name where that is asked for.
func (s *segment) provePayload(r *row, data []byte, lanes *blob.Lanes) {
	if !s.o.Hashes {
		if segments.Checksum(data) != r.crc {
			s.badCRC(r)
		}
		return
	}
	v, err := lanes.Verify(r.hash, data)
	switch {
	case err == nil && v.CRC32C() == r.crc:
	case segments.Checksum(data) != r.crc:
		s.badCRC(r)
	default:
		s.fault(WrongHash, r, "its bytes are those of %s", blob.Sum(data))
	}
}

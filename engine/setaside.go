package engine

import (
	"bytes"
	"errors"
	"io"
	"io/fs"

	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
)

// setAside deals with a segment that cannot be recovered: one that is not ours, or damaged, is moved to quarantine, and
// its rows are removed; one that cannot be read now is left for the next start. It says whether the segment is gone.
func (e *Engine) setAside(s *seg, why error) bool {
	if errors.Is(why, segments.ErrBadHeader) && e.halfMade(s) {
		return true
	}
	e.ioError("recover", why)
	if errors.Is(why, segments.ErrNewerVersion) || !errors.Is(why, segments.ErrBadHeader) && !errors.Is(why, fs.ErrNotExist) {
		e.log.Error("a segment cannot be read; its blobs are misses until it can", "path", s.Path(), "err", why)
		return false
	}
	e.dropWhere(func(ent index.Entry) bool { return ent.Segment == s.ID() })
	s.mu.Lock()
	s.gone = true // the reclaimer has no business with it
	s.mu.Unlock()
	e.segs.remove(s.ID())
	_ = s.Close()
	if err := e.mnt.Quarantine(s.Path(), why.Error()); err != nil {
		e.ioError("quarantine", err)
	}
	e.measureAside() // before the segment's charge goes: the cap holds throughout
	e.setCharge(s, 0)
	e.trimAside()
	e.log.Error("a segment is damaged and was moved to quarantine; its blobs will be fetched again when asked for",
		"path", s.Path(), "err", why)
	_ = e.commit(&change{apply: func(g *group) {
		delete(g.rows, s.ID())
		g.batch.DeleteSegment(s.ID())
	}})
	return true
}

// halfMade removes a segment whose creation was cut short: its header is written and synced before anything else, so a
// file of zeros where the header should be never held a record.
func (e *Engine) halfMade(s *seg) bool {
	f, err := e.o.FS.Open(s.Path(), false)
	if err != nil {
		return false
	}
	head := make([]byte, segments.HeaderSize)
	_, err = f.ReadAt(head, 0)
	if cerr := f.Close(); cerr != nil || err != nil && err != io.EOF {
		return false
	}
	if !bytes.Equal(head, make([]byte, segments.HeaderSize)) || e.rowOf(s).LiveBlobs > 0 {
		return false
	}
	s.mu.Lock()
	s.gone = true
	s.mu.Unlock()
	if err := s.Unlink(); err != nil {
		e.ioError("unlink", err)
		return false
	}
	e.segs.remove(s.ID())
	e.setCharge(s, 0)
	_ = e.commit(&change{apply: func(g *group) {
		delete(g.rows, s.ID())
		g.batch.DeleteSegment(s.ID())
	}})
	return true
}

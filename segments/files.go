package segments

import (
	"errors"
	"sync"

	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// Files bounds how many files of the segments that share it are open, and so mapped, at once. To open one more, another
// is closed that nobody uses and nobody used for a while; it is opened again when it is needed. Only what is in use, or
// was changed since its last good sync, is never closed for that (a file that is opened anew need not report a write that
// failed before), so the bound can be passed by as many.
//
// Hits do not come here: they set a mark in their segment, under a lock that they hold anyway.
type Files struct {
	limit int

	mu   sync.Mutex // taken under a Segment's mu; under it that of another is tried only, never waited for
	open []*Segment // in no order; Segment.place is where in it
	hand int        // where the last search ended
}

// NewFiles makes a bound of limit files, at least 1.
func NewFiles(limit int) *Files { return &Files{limit: max(1, limit)} }

// Open is the number of files that are open.
func (f *Files) Open() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.open)
}

// Share makes the segment one of those that f bounds. It comes before any other use of the segment.
func (s *Segment) Share(f *Files) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files = f
	if s.file != nil {
		f.add(s)
	}
}

// add counts a file that was just opened, and closes others where they are too many now.
func (f *Files) add(s *Segment) {
	if f == nil {
		return
	}
	f.mu.Lock()
	s.place = len(f.open)
	f.open = append(f.open, s)
	var idle []opened
	for steps := 2 * len(f.open); len(f.open) > f.limit && steps > 0; steps-- {
		f.hand = (f.hand + 1) % len(f.open)
		if t := f.open[f.hand]; t != s && t.mu.TryLock() {
			if o, ok := t.retireLocked(); ok {
				idle = append(idle, o)
				f.dropLocked(t)
			}
			t.mu.Unlock()
		}
	}
	f.mu.Unlock()
	for _, o := range idle {
		_ = o.close() // nothing was left to be written
	}
}

// drop counts a file that is closed.
func (f *Files) drop(s *Segment) {
	if f == nil {
		return
	}
	f.mu.Lock()
	f.dropLocked(s)
	f.mu.Unlock()
}

func (f *Files) dropLocked(s *Segment) {
	last := len(f.open) - 1
	f.open[s.place] = f.open[last]
	f.open[s.place].place = s.place
	f.open[last] = nil
	f.open = f.open[:last]
}

// opened is what Segment holds of the operating system.
type opened struct {
	file   diskfs.File
	mapped diskfs.Mapping
}

func (o opened) close() (err error) {
	if o.mapped != nil {
		err = o.mapped.Unmap()
	}
	if o.file != nil {
		err = errors.Join(err, o.file.Close())
	}
	return err
}

// takeLocked takes out what is open.
func (s *Segment) takeLocked() opened {
	o := opened{s.file, s.mapped}
	s.file, s.mapped = nil, nil
	return o
}

// retireLocked takes out what is open, if nobody needs it. A segment that was used since the last time is spared once.
func (s *Segment) retireLocked() (opened, bool) {
	if !s.sealed || len(s.pins) > 0 || s.busy > 0 || s.changes != s.synced {
		return opened{}, false
	}
	if s.recent {
		s.recent = false
		return opened{}, false
	}
	return s.takeLocked(), true
}

// Settled says whether nothing was changed since the last good sync.
func (s *Segment) Settled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changes == s.synced
}

// acquire gives the file until letGo is called, opening it first where needed. Holders of a pin need open only.
func (s *Segment) acquire() (diskfs.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.openLocked()
	if err == nil {
		s.busy++
		s.recent = true
	}
	return f, err
}

func (s *Segment) letGo() {
	s.mu.Lock()
	s.busy--
	s.mu.Unlock()
}

// change is acquire for what changes the file; changed ends it. Both count, so that a sync in between is none after it.
func (s *Segment) change() (diskfs.File, error) {
	f, err := s.acquire()
	if err == nil {
		s.countChange()
	}
	return f, err
}

func (s *Segment) changed() {
	s.countChange()
	s.letGo()
}

func (s *Segment) countChange() {
	s.mu.Lock()
	s.changes++
	s.mu.Unlock()
}

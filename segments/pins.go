package segments

// Pin keeps the extent of a slot readable until Unpin. It says false when the record died in this process or the
// segment is closed: the caller must then look the blob up again. On success it also touches the record, unless this is
// the first time since SetFresh: whoever caused a blob to be fetched reads it at once, which says nothing about its worth.
func (s *Segment) Pin(slot uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.holdLocked(slot) {
		return false
	}
	if s.fresh.has(slot) {
		s.fresh.clear(slot)
	} else {
		s.bits.set(2*slot + bitTouched)
	}
	return true
}

// Hold is Pin for whoever reads a record for its own sake: the record is not touched.
func (s *Segment) Hold(slot uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.holdLocked(slot)
}

func (s *Segment) holdLocked(slot uint32) bool {
	if s.closed || s.dead.has(slot) {
		return false
	}
	s.pins[slot]++
	s.recent = true
	return true
}

// Unpin ends one Pin or Hold. The last one of a dead record runs what Kill left to be done.
func (s *Segment) Unpin(slot uint32) {
	s.mu.Lock()
	if s.pins[slot] == 0 {
		s.mu.Unlock()
		panic("segments: unpinned twice")
	}
	s.pins[slot]--
	var then, closed func()
	if s.pins[slot] == 0 {
		delete(s.pins, slot)
		then = s.held[slot]
		delete(s.held, slot)
		closed, _ = s.closeLocked() // read-only by now: nothing was left to be written
	}
	s.mu.Unlock()
	for _, f := range []func(){then, closed} {
		if f != nil {
			f()
		}
	}
}

// Kill notes that a record is gone from the index: it cannot be pinned any more. It calls then once the last pin is
// gone, which may be at once, on the caller's goroutine or on that of the last reader.
func (s *Segment) Kill(slot uint32, then func()) {
	s.mu.Lock()
	s.dead.set(slot)
	if s.pins[slot] > 0 {
		s.held[slot] = then
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	then()
}

// Dead says whether Kill was called for the slot.
func (s *Segment) Dead(slot uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead.has(slot)
}

// Pinned says whether a reader holds the slot's extent.
func (s *Segment) Pinned(slot uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pins[slot] > 0
}

// Pins is the number of pins that are out.
func (s *Segment) Pins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, k := range s.pins {
		n += k
	}
	return n
}

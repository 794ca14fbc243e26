package segments

// bitmap is a set of small numbers that grows as needed.
type bitmap []uint64

func (b bitmap) has(i uint32) bool {
	w := int(i / 64)
	return w < len(b) && b[w]&(1<<(i%64)) != 0
}

func (b *bitmap) set(i uint32) {
	w := int(i / 64)
	if w >= len(*b) {
		*b = append(*b, make(bitmap, w+1-len(*b))...)
	}
	(*b)[w] |= 1 << (i % 64)
}

func (b bitmap) clear(i uint32) {
	if w := int(i / 64); w < len(b) {
		b[w] &^= 1 << (i % 64)
	}
}

// The two bits of a slot in Segment.bits: slot n has bits 2n and 2n+1.
const (
	bitTouched = 0 // read since the evictor last looked
	bitChecked = 1 // the slot was compared with its index row in this process
)

// Touch notes that the record was read.
func (s *Segment) Touch(slot uint32) {
	s.mu.Lock()
	s.bits.set(2*slot + bitTouched)
	s.mu.Unlock()
}

// SetFresh notes that the record was written by this process, so that it is checked, and that nobody has read it.
func (s *Segment) SetFresh(slot uint32) {
	s.mu.Lock()
	s.bits.set(2*slot + bitChecked)
	s.fresh.set(slot)
	s.mu.Unlock()
}

// Touched says whether the record was read since the bit was last cleared.
func (s *Segment) Touched(slot uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bits.has(2*slot + bitTouched)
}

// Untouch clears the bit.
func (s *Segment) Untouch(slot uint32) {
	s.mu.Lock()
	s.bits.clear(2*slot + bitTouched)
	s.mu.Unlock()
}

// Checked says whether SetChecked was called for the slot in this process.
func (s *Segment) Checked(slot uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bits.has(2*slot + bitChecked)
}

// SetChecked notes that the slot agrees with its index row and that its payload can be trusted as far as the
// watermark or its CRC says.
func (s *Segment) SetChecked(slot uint32) {
	s.mu.Lock()
	s.bits.set(2*slot + bitChecked)
	s.mu.Unlock()
}

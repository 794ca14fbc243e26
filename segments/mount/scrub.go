package mount

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/OdyseeTeam/prism/segments"
)

// ScrubPosition is how far the reading of all payloads has come: in the order of segments and slots, all before it was read.
type ScrubPosition struct {
	Segment segments.ID
	Slot    uint32
	Began   time.Time // when this pass began, or is to begin; whole seconds
}

// scrubForm is the whole of the file.
const scrubForm = "prism scrub 1: segment %d slot %d began %d\n"

// ReadScrub is the position that WriteScrub left. One that is missing or cannot be read means that a pass begins: false.
func (m *Mount) ReadScrub() (ScrubPosition, bool) {
	f, err := m.fsys.Open(filepath.Join(m.dir, scrubName), false)
	if err != nil {
		return ScrubPosition{}, false
	}
	defer f.Close()
	b := make([]byte, 256)
	n, err := f.ReadAt(b, 0)
	if err != io.EOF { // it is shorter
		return ScrubPosition{}, false
	}
	var p ScrubPosition
	var began int64
	if _, err := fmt.Sscanf(string(b[:n]), scrubForm, &p.Segment, &p.Slot, &began); err != nil {
		return ScrubPosition{}, false
	}
	p.Began = time.Unix(began, 0)
	return p, true
}

// WriteScrub replaces the position. A power cut may take it back to an earlier one.
func (m *Mount) WriteScrub(p ScrubPosition) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	temp := filepath.Join(m.dir, scrubTemp)
	err := m.fsys.Remove(temp)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = m.writeTemp(temp, fmt.Appendf(nil, scrubForm, p.Segment, p.Slot, p.Began.Unix()))
	}
	if err == nil {
		err = m.fsys.Rename(temp, filepath.Join(m.dir, scrubName))
	}
	if err != nil {
		return fmt.Errorf("mount: write the position of the scrub: %w", err)
	}
	return nil
}

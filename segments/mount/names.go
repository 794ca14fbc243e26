package mount

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/OdyseeTeam/prism/segments"
)

// The names in a mount.
const (
	superblockName = "superblock"
	superblockTemp = "superblock.tmp"
	lockName       = "lock"
	segmentsName   = "segments"
	indexName      = "index"
	quarantineName = "quarantine"
	quarantineLog  = "LOG"
	rebuildName    = "rebuild-index"
	scrubName      = "scrub"
	scrubTemp      = "scrub.tmp"
	adminName      = "admin"

	segmentSuffix = ".seg"
	segmentDigits = 16
)

// SegmentName is the name of a segment's file within SegmentsDir: its id as 16 hex digits, and ".seg".
func SegmentName(id segments.ID) string { return fmt.Sprintf("%016x%s", uint64(id), segmentSuffix) }

// ParseSegmentName reads what SegmentName writes; anything else, id 0 included, is not a segment's name.
func ParseSegmentName(name string) (segments.ID, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != segmentDigits || strings.Trim(digits, "0123456789abcdef") != "" {
		return 0, false
	}
	id, err := strconv.ParseUint(digits, 16, 64)
	return segments.ID(id), err == nil && id != 0
}

// Dir is the mount's folder, as it was given to Open.
func (m *Mount) Dir() string { return m.dir }

// SegmentsDir is the folder of the segments. It exists.
func (m *Mount) SegmentsDir() string { return filepath.Join(m.dir, segmentsName) }

// IndexDir is the folder of the index. It exists.
func (m *Mount) IndexDir() string { return filepath.Join(m.dir, indexName) }

// QuarantineDir is the folder of what was put aside. It exists.
func (m *Mount) QuarantineDir() string { return filepath.Join(m.dir, quarantineName) }

// SegmentPath is where the segment with that id is, or would be.
func (m *Mount) SegmentPath(id segments.ID) string {
	return filepath.Join(m.dir, segmentsName, SegmentName(id))
}

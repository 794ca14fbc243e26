package lists

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/OdyseeTeam/prism/blob"
)

// set is a set of hashes that never changes. Hashes are sorted and spread evenly, so the table of where each value of
// the first two bytes begins leaves one in 65,536 of them to search. Tags, the next four bytes of each, lie close together: a
// look-up of what is not in the set, which is nearly every one, reads a line or two of them and no hash. A hash takes
// 52 bytes.
type set struct {
	hashes []blob.Hash
	tags   []uint32
	starts []uint32 // len(hashes) for what is behind the last one; nil for an empty set
}

const prefixes = 1 << 16

// newSet keeps hashes, sorts them, and drops what is there twice.
func newSet(hashes []blob.Hash) *set {
	slices.SortFunc(hashes, compareHashes)
	hashes = slices.Compact(hashes)
	s := &set{hashes: hashes}
	if len(hashes) == 0 {
		return s
	}
	s.tags = make([]uint32, len(hashes))
	for i := range hashes {
		s.tags[i] = tag(&hashes[i])
	}
	s.starts = make([]uint32, prefixes+1)
	at := 0
	for p := range s.starts {
		for at < len(hashes) && prefix(&hashes[at]) < p {
			at++
		}
		s.starts[p] = uint32(at)
	}
	return s
}

func compareHashes(a, b blob.Hash) int { return bytes.Compare(a[:], b[:]) }

func prefix(h *blob.Hash) int { return int(binary.BigEndian.Uint16(h[:])) }

func tag(h *blob.Hash) uint32 { return binary.BigEndian.Uint32(h[2:]) }

func (s *set) has(h blob.Hash) bool {
	if s.starts == nil {
		return false
	}
	p, t := prefix(&h), tag(&h)
	from, to := int(s.starts[p]), int(s.starts[p+1])
	at, _ := slices.BinarySearch(s.tags[from:to], t)
	for at += from; at < to && s.tags[at] == t; at++ {
		if s.hashes[at] == h {
			return true
		}
	}
	return false
}

// beyond calls fn with the hashes that are not in other, up to most at a time, until it fails. fn must not keep the slice.
func (s *set) beyond(other *set, most int, fn func([]blob.Hash) error) error {
	var some []blob.Hash
	for _, h := range s.hashes {
		if other.has(h) {
			continue
		}
		if some = append(some, h); len(some) < most {
			continue
		}
		if err := fn(some); err != nil {
			return err
		}
		some = some[:0]
	}
	if len(some) == 0 {
		return nil
	}
	return fn(some)
}

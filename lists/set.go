package lists

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/OdyseeTeam/prism/blob"
)

// set is a set of hashes that never changes: sorted, with a table of where each value of the first two bytes begins.
// Hashes are spread evenly, so a look-up searches among one in 65,536 of them. It takes 48 bytes a hash.
type set struct {
	hashes []blob.Hash
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

func (s *set) has(h blob.Hash) bool {
	if s.starts == nil {
		return false
	}
	p := prefix(&h)
	_, ok := slices.BinarySearchFunc(s.hashes[s.starts[p]:s.starts[p+1]], h, compareHashes)
	return ok
}

// beyond calls fn for the hashes that are not in other, until it fails.
func (s *set) beyond(other *set, fn func(blob.Hash) error) error {
	for _, h := range s.hashes {
		if other.has(h) {
			continue
		}
		if err := fn(h); err != nil {
			return err
		}
	}
	return nil
}

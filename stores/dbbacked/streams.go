package dbbacked

import (
	"sync"

	"github.com/OdyseeTeam/prism/blob"
)

// maxListed bounds the hashes in streams: 3 MiB of them.
const maxListed = 1 << 16

// streams remembers what SD blobs list, of those whose streams were asked about last. A list never changes.
type streams struct {
	mu     sync.Mutex
	lists  map[blob.Hash][]blob.Hash
	listed int
}

func (s *streams) init() { s.lists = map[blob.Hash][]blob.Hash{} }

func (s *streams) get(sd blob.Hash) (content []blob.Hash, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	content, known = s.lists[sd]
	return content, known
}

// put remembers a list, and forgets others for it, whichever come first.
func (s *streams) put(sd blob.Hash, content []blob.Hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.lists[sd]; known || len(content) >= maxListed {
		return
	}
	s.lists[sd] = content
	s.listed += len(content) + 1
	for other, list := range s.lists {
		if s.listed <= maxListed {
			break
		}
		if other != sd {
			delete(s.lists, other)
			s.listed -= len(list) + 1
		}
	}
}

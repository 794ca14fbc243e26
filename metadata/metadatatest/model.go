package metadatatest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/protocol/stream"
)

// model is a catalogue as the contract says it, in maps, without batches, failures or haste.
type model struct {
	set     Settings
	blobs   map[blob.Hash]*metadata.Row
	streams map[blob.Hash]*modelStream
	blocked map[blob.Hash]bool
}

type modelStream struct {
	hash    string
	content []blob.Hash
	at      time.Time
}

func newModel(set Settings) *model {
	return &model{set, map[blob.Hash]*metadata.Row{}, map[blob.Hash]*modelStream{}, map[blob.Hash]bool{}}
}

func (m *model) putBlob(b metadata.Blob) {
	if m.blobs[b.Hash] == nil {
		m.blobs[b.Hash] = &metadata.Row{Hash: b.Hash, Length: b.Length}
	}
	m.blobs[b.Hash].Stored = true
	m.touch(metadata.Access{Hash: b.Hash, At: b.At})
}

func (m *model) putStream(sd metadata.Blob, desc stream.SD) {
	m.putBlob(sd)
	for i, h := range desc.Blobs {
		if m.blobs[h] == nil {
			m.blobs[h] = &metadata.Row{Hash: h, Length: desc.Lengths[i]}
		}
		if m.set.Tracking == metadata.TrackBlobs {
			m.touch(metadata.Access{Hash: h, At: sd.At})
		}
	}
	if m.streams[sd.Hash] != nil {
		return // an SD blob names the same content each time
	}
	for _, s := range m.streams {
		if s.hash == desc.StreamHash {
			return
		}
	}
	s := &modelStream{hash: desc.StreamHash, content: desc.Blobs}
	if m.set.Tracking == metadata.TrackStreams {
		s.at = sd.At
	}
	m.streams[sd.Hash] = s
}

func (m *model) touch(a metadata.Access) {
	replace := func(noted *time.Time) {
		if noted.IsZero() || noted.Before(a.At.Add(-6*time.Hour)) {
			*noted = a.At
		}
	}
	switch m.set.Tracking {
	case metadata.TrackBlobs:
		if r := m.blobs[a.Hash]; r != nil {
			replace(&r.Accessed)
		}
	case metadata.TrackStreams:
		for sd, s := range m.streams {
			if sd == a.Hash || slices.Contains(s.content, a.Hash) {
				replace(&s.at)
			}
		}
	}
}

func (m *model) setLengths(blobs []metadata.Blob) {
	for _, b := range blobs {
		if r := m.blobs[b.Hash]; r != nil {
			r.Length = b.Length
		}
	}
}

func (m *model) delete(hashes []blob.Hash) {
	if !m.set.SoftDeletes {
		for _, h := range hashes {
			delete(m.streams, h)
		}
	}
	for _, h := range hashes {
		named := m.set.SoftDeletes
		for _, s := range m.streams {
			named = named || slices.Contains(s.content, h)
		}
		if r := m.blobs[h]; r != nil && named {
			r.Stored = false
		} else {
			delete(m.blobs, h)
		}
	}
}

// pair is an SD blob and what it says.
type pair struct {
	sd   blob.Hash
	desc stream.SD
}

// somePairs makes streams of a random choice of hashes.
func somePairs(rnd *rand.Rand, hashes []blob.Hash) []pair {
	pairs := make([]pair, 6)
	for i := range pairs {
		var content []blob.Hash
		for _, n := range rnd.Perm(len(hashes))[:rnd.IntN(6)] { // SD blobs of others may be among them
			if n != i {
				content = append(content, hashes[n])
			}
		}
		pairs[i] = pair{hashes[i], Stream(strconv.Itoa(i/2), content...)} // two of each have the same stream_hash
	}
	return pairs
}

// model drives a catalogue and the model with the same random steps over few hashes, so that they meet often.
func (s *suite) model() {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("METADATATEST_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		s.ok(err)
		seed = n
	}
	s.Logf("repeat with METADATATEST_SEED=%d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	hashes := Hashes("model", 14)
	pairs := somePairs(rnd, hashes)
	m := newModel(s.set)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	pick := func() blob.Hash { return hashes[rnd.IntN(len(hashes))] }
	time1 := func() time.Time { return now.Add(time.Duration(rnd.IntN(7200)-3600) * time.Second) }
	const steps = 60
	for step := range steps {
		now = now.Add(time.Duration(rnd.IntN(5*60)) * time.Minute)
		var what string
		switch rnd.IntN(7) {
		case 0, 1:
			batch := make([]metadata.Blob, 1+rnd.IntN(4))
			for i := range batch {
				batch[i] = metadata.Blob{Hash: pick(), Length: 1 + rnd.IntN(blob.MaxSize), At: time1()}
				m.putBlob(batch[i])
			}
			what = fmt.Sprintf("PutBlobs(%v)", batch)
			s.ok(s.c.PutBlobs(s.Context(), batch))
		case 2:
			p := pairs[rnd.IntN(len(pairs))]
			sd := metadata.Blob{Hash: p.sd, Length: 1 + rnd.IntN(9000), At: time1()}
			what = fmt.Sprintf("PutStream(%v, %v)", sd, p.desc)
			m.putStream(sd, p.desc)
			s.ok(s.c.PutStream(s.Context(), sd, p.desc))
		case 3:
			batch := make([]metadata.Access, 1+rnd.IntN(5))
			for i := range batch {
				batch[i] = metadata.Access{Hash: pick(), At: time1()}
				m.touch(batch[i])
			}
			what = fmt.Sprintf("Touch(%v)", batch)
			s.ok(s.c.Touch(s.Context(), batch))
		case 4:
			batch := make([]blob.Hash, 1+rnd.IntN(4))
			for i := range batch {
				batch[i] = pick()
			}
			what = fmt.Sprintf("Delete(%v)", batch)
			m.delete(batch)
			s.ok(s.c.Delete(s.Context(), batch))
		case 5:
			h := pick()
			what = fmt.Sprintf("Block(%v)", h)
			m.blocked[h] = true
			s.ok(s.c.Block(s.Context(), []blob.Hash{h}))
		case 6:
			batch := make([]metadata.Blob, 1+rnd.IntN(4))
			for i := range batch {
				batch[i] = metadata.Blob{Hash: pick(), Length: 1 + rnd.IntN(blob.MaxSize)}
			}
			m.setLengths(batch)
			what = fmt.Sprintf("SetLengths(%v)", batch)
			s.ok(s.c.SetLengths(s.Context(), batch))
		}
		if step%20 == 19 {
			what += ", opened again"
			s.open()
		}
		s.compare(m, hashes, fmt.Sprintf("after step %d, %s", step, what))
		if s.Failed() {
			return
		}
	}
}

// compare asks all that can be asked.
func (s *suite) compare(m *model, hashes []blob.Hash, when string) {
	s.Helper()
	stored, err := s.c.Stored(s.Context(), hashes)
	s.ok(err)
	var known []metadata.Row
	count := int64(0)
	for i, h := range hashes {
		row := m.blobs[h]
		is := row != nil && row.Stored
		if row != nil {
			known = append(known, *row)
			if row.Stored || !s.set.SoftDeletes {
				count++
			}
		}
		if stored[i] != is {
			s.Errorf("%s: Stored of %s is %v", when, h.Short(), stored[i])
		}
		if st, err := s.c.Status(s.Context(), h); err != nil || st != (metadata.Status{Stored: is, Blocked: m.blocked[h]}) {
			s.Errorf("%s: Status of %s is %v, %v", when, h.Short(), st, err)
		}
		s.compareStream(m, h, when)
	}
	have, err := s.c.HaveStreams(s.Context(), hashes)
	s.ok(err)
	for i, h := range hashes {
		if have[i] != (m.streams[h] != nil) {
			s.Errorf("%s: HaveStreams of %s is %v", when, h.Short(), have[i])
		}
	}
	if n, err := s.c.Count(s.Context()); err != nil || n != count {
		s.Errorf("%s: Count is %d, %v, want %d", when, n, err, count)
	}
	slices.SortFunc(known, func(a, b metadata.Row) int { return bytes.Compare(a.Hash[:], b.Hash[:]) })
	if got := s.rows(); !slices.EqualFunc(got, known, sameRow) {
		s.Errorf("%s: Walk gives\n%v\nwant\n%v", when, got, known)
	}
	var blocked []blob.Hash
	for h := range m.blocked {
		blocked = append(blocked, h)
	}
	sortHashes(blocked)
	if got := s.blockedFrom(blob.Hash{}); !slices.Equal(got, blocked) {
		s.Errorf("%s: Blocked gives\n%v\nwant\n%v", when, got, blocked)
	}
}

func sortHashes(list []blob.Hash) {
	slices.SortFunc(list, func(a, b blob.Hash) int { return bytes.Compare(a[:], b[:]) })
}

// blockedFrom is all that Blocked gives.
func (s *suite) blockedFrom(from blob.Hash) (got []blob.Hash) {
	s.Helper()
	s.ok(s.c.Blocked(s.Context(), from, func(h blob.Hash) error {
		got = append(got, h)
		return nil
	}))
	return got
}

func (s *suite) compareStream(m *model, sd blob.Hash, when string) {
	s.Helper()
	missing, known, err := s.c.Missing(s.Context(), sd)
	s.ok(err)
	want := m.streams[sd]
	if known != (want != nil) {
		s.Errorf("%s: Missing knows the stream of %s: %v", when, sd.Short(), known)
	}
	if want == nil {
		if len(missing) > 0 {
			s.Errorf("%s: %d blobs are missing of no stream", when, len(missing))
		}
		return
	}
	var lacks []blob.Hash
	for _, h := range want.content {
		if !m.blobs[h].Stored {
			lacks = append(lacks, h)
		}
	}
	if got, err := s.c.Links(s.Context(), sd, want.hash); err != nil || !got.Known || got.Taken || !slices.Equal(got.Blobs, want.content) {
		s.Errorf("%s: Links of %s gives %v, %v, want %v", when, sd.Short(), got, err, want.content)
	}
	if !slices.Equal(missing, lacks) {
		s.Errorf("%s: Missing of %s is %v, want %v", when, sd.Short(), missing, lacks)
	}
	if at := s.place.StreamAccessed(s.T, s.c, sd); !at.Equal(want.at) {
		s.Errorf("%s: the stream of %s was accessed at %v, want %v", when, sd.Short(), at, want.at)
	}
}

func sameRow(a, b metadata.Row) bool {
	return a.Hash == b.Hash && a.Stored == b.Stored && a.Length == b.Length && a.Accessed.Equal(b.Accessed)
}

// Package metadatatest holds every catalogue to the contract in metadata/metadata.go. The conformance test of one is a
// call of Run. Each behaviour is a subtest over a fresh catalogue, at each level of tracking and with both kinds of deletes
// where that makes a difference. Its core is a model: after every step of a long random sequence, all that a catalogue
// can be asked must be what the model says. The package is imported by tests only.
package metadatatest

import (
	"fmt"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/protocol/stream"
)

// Settings are those of a catalogue that change its answers.
type Settings struct {
	Tracking    metadata.Tracking
	SoftDeletes bool
}

// Place is where one catalogue is kept, empty at first.
type Place struct {
	// Open opens the catalogue that is kept there. The suite closes it before it opens it again.
	Open func(t *testing.T, s Settings) metadata.Catalogue

	// StreamAccessed is the time noted for the stream of an SD blob, or zero, which a Catalogue cannot be asked. c
	// is what Open gave last.
	StreamAccessed func(t *testing.T, c metadata.Catalogue, sd blob.Hash) time.Time
}

// Config says how to make catalogues of the kind under test.
type Config struct {
	New func(t *testing.T) Place
}

// suite is one subtest.
type suite struct {
	*testing.T
	place Place
	set   Settings
	c     metadata.Catalogue
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	var all []Settings
	for _, tracking := range []metadata.Tracking{metadata.TrackNone, metadata.TrackStreams, metadata.TrackBlobs} {
		all = append(all, Settings{tracking, false}, Settings{tracking, true})
	}
	one := []Settings{{metadata.TrackBlobs, true}}
	for _, b := range []struct {
		name string
		run  func(*suite)
		in   []Settings
	}{
		{"as the model", (*suite).model, all},
		{"nothing", (*suite).nothing, one},
		{"blobs", (*suite).blobs, all},
		{"lengths", (*suite).lengths, one},
		{"streams", (*suite).streams, all},
		{"links", (*suite).links, all},
		{"two SD blobs of one stream", (*suite).twoOfOne, all},
		{"stream hashes that cannot be noted", (*suite).strangeStreams, one},
		{"content before its SD blob", (*suite).contentFirst, all},
		{"deletes", (*suite).deletes, all},
		{"touch", (*suite).touch, all},
		{"times of the clock", (*suite).clock, all},
		{"times survive lower levels", (*suite).levels, one},
		{"blocked", (*suite).blocked, one},
		{"large batches", (*suite).largeBatches, one},
		{"a large stream", (*suite).largeStream, one},
		{"walk", (*suite).walk, one},
		{"concurrency", (*suite).concurrency, all},
		{"contexts", (*suite).contexts, one},
		{"close", (*suite).close, one},
	} {
		for _, s := range b.in {
			t.Run(fmt.Sprintf("%s/tracking %d soft %v", b.name, s.Tracking, s.SoftDeletes), func(t *testing.T) {
				place := cfg.New(t)
				leaktest.Check(t)
				leaktest.FDs(t)
				x := &suite{T: t, place: place, set: s}
				x.open()
				t.Cleanup(x.shut)
				b.run(x)
			})
		}
	}
}

// open opens the catalogue, again if it is open.
func (s *suite) open() {
	s.Helper()
	s.shut()
	s.c = s.place.Open(s.T, s.set)
}

func (s *suite) shut() {
	s.Helper()
	if s.c == nil {
		return
	}
	if err := s.c.Close(); err != nil {
		s.Errorf("Close: %v", err)
	}
	s.c = nil
}

// ok demands success of a step.
func (s *suite) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// Hash is a hash that belongs to a name.
func Hash(name string) blob.Hash { return blob.Sum([]byte(name)) }

// Hashes are n of them.
func Hashes(name string, n int) []blob.Hash {
	out := make([]blob.Hash, n)
	for i := range out {
		out[i] = Hash(fmt.Sprint(name, i))
	}
	return out
}

// Blobs are blobs with these hashes.
func Blobs(length int, at time.Time, hashes ...blob.Hash) []metadata.Blob {
	out := make([]metadata.Blob, len(hashes))
	for i, h := range hashes {
		out[i] = metadata.Blob{Hash: h, Length: length, At: at}
	}
	return out
}

// Stream is a stream with a hash of its own and these content blobs.
func Stream(name string, content ...blob.Hash) stream.SD {
	sd := stream.SD{StreamHash: Hash("stream " + name).String(), Blobs: content}
	for range content {
		sd.Lengths = append(sd.Lengths, blob.MaxSize)
	}
	return sd
}

// wantStored demands that of these hashes the first stored ones are stored and no others.
func (s *suite) wantStored(stored int, hashes ...blob.Hash) {
	s.Helper()
	got, err := s.c.Stored(s.Context(), hashes)
	s.ok(err)
	if len(got) != len(hashes) {
		s.Fatalf("Stored of %d hashes gave %d answers", len(hashes), len(got))
	}
	for i, is := range got {
		if is != (i < stored) {
			s.Fatalf("blob %d of %d is stored: %v, want the first %d to be", i, len(hashes), is, stored)
		}
	}
	if len(hashes) == 0 {
		return
	}
	if st, err := s.c.Status(s.Context(), hashes[0]); err != nil || st.Stored != (stored > 0) {
		s.Fatalf("Status %v, %v: Stored says otherwise", st, err)
	}
}

// rows is all that Walk gives.
func (s *suite) rows() []metadata.Row {
	s.Helper()
	var rows []metadata.Row
	s.ok(s.c.Walk(s.Context(), blob.Hash{}, func(r metadata.Row) error {
		rows = append(rows, r)
		return nil
	}))
	return rows
}

// row is what Walk gives for a hash; known is false where it gives none.
func (s *suite) row(h blob.Hash) (row metadata.Row, known bool) {
	s.Helper()
	for _, r := range s.rows() {
		if r.Hash == h {
			return r, true
		}
	}
	return row, false
}

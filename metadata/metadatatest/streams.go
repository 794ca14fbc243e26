package metadatatest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/metadata"
)

// noon is a time of tests.
func noon() time.Time { return time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC) }

// wantMissing demands an answer of Missing.
func (s *suite) wantMissing(sd blob.Hash, known bool, want ...blob.Hash) {
	s.Helper()
	got, k, err := s.c.Missing(s.Context(), sd)
	if err != nil || k != known || !slices.Equal(got, want) {
		s.Fatalf("Missing = %v, %v, %v; want %v, %v", got, k, err, want, known)
	}
}

func (s *suite) nothing() {
	ctx := s.Context()
	s.wantStored(0)
	s.wantStored(0, Hash("unknown"), blob.Hash{})
	s.wantMissing(Hash("unknown"), false)
	s.ok(s.c.PutBlobs(ctx, nil))
	s.ok(s.c.Touch(ctx, nil))
	s.ok(s.c.Delete(ctx, nil))
	s.ok(s.c.Block(ctx, nil))
	s.ok(s.c.Touch(ctx, []metadata.Access{{Hash: Hash("unknown")}}))
	s.ok(s.c.Delete(ctx, []blob.Hash{Hash("unknown")}))
	if n, err := s.c.Count(ctx); n != 0 || err != nil {
		s.Errorf("Count = %d, %v", n, err)
	}
	if rows := s.rows(); len(rows) != 0 {
		s.Errorf("Walk gives %v", rows)
	}
}

func (s *suite) blobs() {
	h := Hashes("blob", 3)
	// Duplicates in one batch are one blob, with the first length; so is a repetition.
	s.ok(s.c.PutBlobs(s.Context(), append(Blobs(7, noon(), h[0], h[1], h[0]), Blobs(9, noon(), h[1], h[0])...)))
	s.ok(s.c.PutBlobs(s.Context(), Blobs(8, noon(), h[0])))
	s.wantStored(2, h...)
	if got, err := s.c.Stored(s.Context(), []blob.Hash{h[2], h[0], h[2], h[0], h[1]}); err != nil ||
		!slices.Equal(got, []bool{false, true, false, true, true}) {
		s.Errorf("Stored in another order, with duplicates: %v, %v", got, err)
	}
	for _, x := range h[:2] {
		if r, ok := s.row(x); !ok || r.Length != 7 || !r.Stored {
			s.Errorf("row %v, %v, want the length that was noted first", r, ok)
		}
	}
	many := make([]metadata.Blob, 200)
	for i := range many {
		many[i] = metadata.Blob{Hash: Hash(fmt.Sprint("many ", i%3)), Length: 1 + i, At: noon()}
	}
	s.ok(s.c.PutBlobs(s.Context(), many))
	for i, b := range many[:3] {
		if r, ok := s.row(b.Hash); !ok || r.Length != 1+i {
			s.Errorf("row %v, %v, want the length that the batch gives first", r, ok)
		}
	}
	s.ok(s.c.Delete(s.Context(), []blob.Hash{many[0].Hash, many[1].Hash, many[2].Hash}))
	s.open()
	s.wantStored(2, h...)
	if n, err := s.c.Count(s.Context()); n != 2 || err != nil {
		s.Errorf("Count = %d, %v", n, err)
	}
}

func (s *suite) lengths() {
	h := Hashes("length", 2)
	f := func(length int, want error) {
		s.Helper()
		err := s.c.PutBlobs(s.Context(), []metadata.Blob{{Hash: h[0], Length: 1}, {Hash: h[1], Length: length}})
		if !errors.Is(err, want) {
			s.Errorf("PutBlobs of %d bytes: %v", length, err)
		}
		if err := s.c.PutStream(s.Context(), metadata.Blob{Hash: h[1], Length: length}, Stream("x")); !errors.Is(err, want) {
			s.Errorf("PutStream of %d bytes: %v", length, err)
		}
		if err := s.c.SetLengths(s.Context(), []metadata.Blob{{Hash: h[0], Length: 1}, {Hash: h[1], Length: length}}); !errors.Is(err, want) {
			s.Errorf("SetLengths of %d bytes: %v", length, err)
		}
		s.wantStored(0, h...)
	}
	f(0, blob.ErrEmpty)
	f(-1, blob.ErrEmpty)
	f(blob.MaxSize+1, blob.ErrTooBig)
	s.ok(s.c.PutBlobs(s.Context(), []metadata.Blob{{Hash: h[0], Length: 1}, {Hash: h[1], Length: blob.MaxSize}}))
	if r, _ := s.row(h[1]); r.Length != blob.MaxSize {
		s.Errorf("row %v", r)
	}
	// What an SD blob says of its content is noted, and stays when the content comes.
	content := Hashes("content", 3)
	desc := Stream("lengths", content...)
	desc.Lengths = []int{5, 0} // of one nothing is said, of another not even that
	s.ok(s.c.PutStream(s.Context(), Blobs(9, noon(), Hash("sd"))[0], desc))
	s.ok(s.c.PutBlobs(s.Context(), Blobs(77, noon(), content...)))
	for i, want := range []int{5, 0, 0} {
		if r, ok := s.row(content[i]); !ok || !r.Stored || r.Length != want {
			s.Errorf("row %v, want length %d", r, want)
		}
	}
}

func (s *suite) streams() {
	content := Hashes("content", 4)
	sd := Blobs(100, noon(), Hash("sd"))[0]
	for range 2 { // it is idempotent
		s.ok(s.c.PutStream(s.Context(), sd, Stream("a", content...)))
		s.wantStored(1, append([]blob.Hash{sd.Hash}, content...)...)
		s.wantMissing(sd.Hash, true, content...)
		s.wantMissing(content[0], false)
	}
	s.ok(s.c.PutBlobs(s.Context(), Blobs(5, noon(), content[2], content[0])))
	s.wantMissing(sd.Hash, true, content[1], content[3])
	s.ok(s.c.PutStream(s.Context(), sd, Stream("a", content...)))
	s.wantMissing(sd.Hash, true, content[1], content[3])
	s.open()
	s.wantMissing(sd.Hash, true, content[1], content[3])
	s.ok(s.c.PutBlobs(s.Context(), Blobs(5, noon(), content...)))
	s.wantMissing(sd.Hash, true)

	// An order that is not that of the hashes, a blob that is named twice, and a stream without content.
	slices.Reverse(content)
	twice := Hash("twice")
	s.ok(s.c.PutStream(s.Context(), Blobs(1, noon(), Hash("sd 2"))[0], Stream("b", append(slices.Clone(content), twice, twice)...)))
	s.ok(s.c.Delete(s.Context(), content))
	s.wantMissing(Hash("sd 2"), true, append(slices.Clone(content), twice)...)
	s.ok(s.c.PutStream(s.Context(), Blobs(1, noon(), Hash("sd 3"))[0], Stream("c")))
	s.wantMissing(Hash("sd 3"), true)
}

// A stream that is noted with fewer links than it has gets the others.
func (s *suite) strangeStreams() {
	content := Hashes("content", 3)
	sd := Blobs(100, noon(), Hash("sd"))[0]
	s.ok(s.c.PutStream(s.Context(), sd, Stream("few", content[0])))
	s.wantMissing(sd.Hash, true, content[0])
	s.ok(s.c.PutStream(s.Context(), sd, Stream("few", content...)))
	s.wantMissing(sd.Hash, true, content...)
	s.ok(s.c.PutStream(s.Context(), sd, Stream("few", content[1])))
	s.wantMissing(sd.Hash, true, content...)

	for name, streamHash := range map[string]string{
		"long": strings.Repeat("a", 97), "blank": "a b", "line": "a\n", "not ASCII": "ä", "empty": "", "zero": "\x00",
	} {
		desc := Stream("x", Hash("content of "+name))
		desc.StreamHash = streamHash
		h := Hash("sd " + name)
		s.ok(s.c.PutStream(s.Context(), Blobs(1, noon(), h)[0], desc))
		s.wantMissing(h, false)
		s.wantStored(1, h, desc.Blobs[0])
	}
	for _, streamHash := range []string{"short", `'";--\`, strings.Repeat("F", 96), strings.Repeat("f", 96)} {
		desc := Stream("x", Hash("content of "+streamHash))
		desc.StreamHash = streamHash
		h := Hash("sd " + streamHash)
		s.ok(s.c.PutStream(s.Context(), Blobs(1, noon(), h)[0], desc))
		s.wantMissing(h, true, desc.Blobs[0])
	}
}

// links notes a stream anew, which forgets what it does not name.
func (s *suite) links() {
	content := Hashes("content", 4)
	sd := Blobs(100, noon(), Hash("sd"))[0]
	wantLinks := func(sd blob.Hash, name string, known, taken bool, want ...blob.Hash) {
		s.Helper()
		got, err := s.c.Links(s.Context(), sd, name)
		if err != nil || got.Known != known || got.Taken != taken || !slices.Equal(got.Blobs, want) {
			s.Fatalf("Links = %v, %v; want %v, %v, %v", got, err, known, taken, want)
		}
		if have, err := s.c.HaveStreams(s.Context(), []blob.Hash{{}, sd, Hash("unknown"), sd}); err != nil ||
			!slices.Equal(have, []bool{false, known, false, known}) {
			s.Fatalf("HaveStreams = %v, %v", have, err)
		}
	}
	a := Stream("a", content...)
	wantLinks(sd.Hash, a.StreamHash, false, false)
	for range 2 { // it is idempotent
		s.ok(s.c.SetStream(s.Context(), sd, a))
		wantLinks(sd.Hash, a.StreamHash, true, false, content...)
	}
	s.wantStored(1, append([]blob.Hash{sd.Hash}, content...)...)
	wantLinks(Hash("another"), a.StreamHash, false, true)
	wantLinks(Hash("another"), "a b", false, true)
	wantLinks(Hash("another"), "", false, true)

	s.ok(s.c.PutBlobs(s.Context(), Blobs(5, noon(), content[0], content[3])))
	fresh := []blob.Hash{content[3], Hash("fresh"), content[1], content[3]}
	s.ok(s.c.SetStream(s.Context(), sd, Stream("a", fresh...)))
	wantLinks(sd.Hash, a.StreamHash, true, false, fresh[:3]...)
	s.wantMissing(sd.Hash, true, fresh[1], content[1])
	s.wantStored(2, content[0], content[3], content[1], content[2])
	// What no stream names any more goes when it is deleted.
	s.ok(s.c.Delete(s.Context(), []blob.Hash{content[0], content[1]}))
	if _, known := s.row(content[0]); known != s.set.SoftDeletes {
		s.Errorf("the row of a blob that was forgotten is there: %v", known)
	}
	if _, known := s.row(content[1]); !known {
		s.Error("the row of a blob that the stream names is gone")
	}
	s.ok(s.c.SetStream(s.Context(), sd, Stream("a")))
	wantLinks(sd.Hash, a.StreamHash, true, false)
	s.wantMissing(sd.Hash, true)

	// The stream of another SD blob is left as it is.
	second := Blobs(100, noon(), Hash("second"))[0]
	s.ok(s.c.SetStream(s.Context(), sd, a))
	s.ok(s.c.SetStream(s.Context(), second, Stream("a", content[0])))
	wantLinks(second.Hash, a.StreamHash, false, true)
	wantLinks(sd.Hash, a.StreamHash, true, false, content...)
	s.open()
	wantLinks(sd.Hash, a.StreamHash, true, false, content...)
}

// The stream stays that of the SD blob that came first, whatever another one with its stream_hash names.
func (s *suite) twoOfOne() {
	a, b := Hash("content a"), Hash("content b")
	first, second := Blobs(100, noon(), Hash("first"))[0], Blobs(100, noon(), Hash("second"))[0]
	s.ok(s.c.PutStream(s.Context(), first, Stream("one", a)))
	s.ok(s.c.PutStream(s.Context(), second, Stream("one", a, b)))
	s.wantStored(2, first.Hash, second.Hash, a, b)
	s.wantMissing(first.Hash, true, a)
	s.wantMissing(second.Hash, false)
	s.ok(s.c.Delete(s.Context(), []blob.Hash{first.Hash}))
	s.ok(s.c.PutStream(s.Context(), second, Stream("one", a, b)))
	if s.set.SoftDeletes {
		s.wantMissing(first.Hash, true, a)
		s.wantMissing(second.Hash, false)
	} else {
		s.wantMissing(first.Hash, false)
		s.wantMissing(second.Hash, true, a, b)
	}
}

func (s *suite) contentFirst() {
	content := Hashes("content", 3)
	s.ok(s.c.PutBlobs(s.Context(), Blobs(11, noon(), content[1])))
	sd := Blobs(100, noon(), Hash("sd"))[0]
	s.ok(s.c.PutStream(s.Context(), sd, Stream("late", content...)))
	s.wantStored(1, content[1], content[0], content[2])
	s.wantMissing(sd.Hash, true, content[0], content[2])
	if r, _ := s.row(content[1]); r.Length != 11 {
		s.Errorf("the row of a blob that was stored changed: %v", r)
	}
}

func (s *suite) deletes() {
	content := Hashes("content", 2)
	sd, alone := Blobs(100, noon(), Hash("sd"))[0], Hash("alone")
	s.ok(s.c.PutStream(s.Context(), sd, Stream("d", content...)))
	s.ok(s.c.PutBlobs(s.Context(), Blobs(5, noon(), content[0], content[1], alone)))
	wantKnown := func(h blob.Hash, want bool) {
		s.Helper()
		if _, known := s.row(h); known != want {
			s.Errorf("a row is there: %v, want %v", known, want)
		}
	}
	for range 2 {
		s.ok(s.c.Delete(s.Context(), []blob.Hash{content[0], alone, Hash("unknown"), alone}))
		s.wantStored(2, content[1], sd.Hash, content[0], alone)
		wantKnown(content[0], true)
		wantKnown(alone, s.set.SoftDeletes)
		s.wantMissing(sd.Hash, true, content[0])
	}
	want := int64(3) // the SD blob and what it names
	if s.set.SoftDeletes {
		want = 2
	}
	if n, err := s.c.Count(s.Context()); n != want || err != nil {
		s.Errorf("Count = %d, %v, want %d", n, err, want)
	}
	// The stream goes before the blobs, in whatever order they are named.
	s.ok(s.c.Delete(s.Context(), []blob.Hash{content[0], sd.Hash, content[1]}))
	s.wantStored(0, sd.Hash, content[0], content[1])
	for _, h := range []blob.Hash{sd.Hash, content[0], content[1]} {
		wantKnown(h, s.set.SoftDeletes)
	}
	if s.set.SoftDeletes {
		s.wantMissing(sd.Hash, true, content...)
	} else {
		s.wantMissing(sd.Hash, false)
	}
	s.ok(s.c.PutStream(s.Context(), sd, Stream("d", content...)))
	s.wantMissing(sd.Hash, true, content...)
}

package metadatatest

import (
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/metadata"
)

// wantTimes demands the times that are noted for an SD blob, a content blob, and their stream. Each is one that the
// level of tracking notes, or else none.
func (s *suite) wantTimes(what string, sd, content blob.Hash, sdAt, contentAt, streamAt time.Time) {
	s.Helper()
	if s.set.Tracking != metadata.TrackBlobs {
		sdAt, contentAt = time.Time{}, time.Time{}
	}
	if s.set.Tracking != metadata.TrackStreams {
		streamAt = time.Time{}
	}
	for h, want := range map[blob.Hash]time.Time{sd: sdAt, content: contentAt} {
		if r, ok := s.row(h); !ok || !r.Accessed.Equal(want) {
			s.Errorf("%s: a blob was accessed at %v, want %v", what, r.Accessed, want)
		}
	}
	if at := s.place.StreamAccessed(s.T, s.c, sd); !at.Equal(streamAt) {
		s.Errorf("%s: the stream was accessed at %v, want %v", what, at, streamAt)
	}
}

func (s *suite) touch() {
	sd, content := Hash("sd"), Hash("content")
	t0 := noon()
	s.ok(s.c.PutStream(s.Context(), Blobs(9, t0, sd)[0], Stream("t", content)))
	s.wantTimes("an insert sets times", sd, content, t0, t0, t0)

	touch := func(h blob.Hash, at time.Time) {
		s.Helper()
		s.ok(s.c.Touch(s.Context(), []metadata.Access{{Hash: Hash("unknown"), At: at}, {Hash: h, At: at}}))
	}
	touch(content, t0.Add(metadata.TouchInterval))
	touch(sd, t0.Add(time.Hour))
	s.wantTimes("nothing is older than the interval", sd, content, t0, t0, t0)

	t1 := t0.Add(metadata.TouchInterval + time.Second)
	touch(content, t1.Add(999*time.Millisecond))
	s.wantTimes("an access of the content", sd, content, t0, t1, t1)

	t2 := t1.Add(metadata.TouchInterval + time.Second)
	touch(sd, t2)
	s.wantTimes("an access of the SD blob", sd, content, t2, t1, t2)

	t3 := t2.Add(metadata.TouchInterval + time.Second)
	s.ok(s.c.PutBlobs(s.Context(), Blobs(9, t3, content)))
	s.wantTimes("a blob that is put again", sd, content, t2, t3, t3)

	t4 := t3.Add(metadata.TouchInterval + time.Second)
	s.ok(s.c.PutStream(s.Context(), Blobs(9, t4, sd)[0], Stream("t", content)))
	s.wantTimes("a stream that is put again", sd, content, t4, t4, t4)

	if _, err := s.c.Stored(s.Context(), []blob.Hash{sd, content}); err != nil {
		s.Fatal(err)
	}
	s.wantTimes("a question", sd, content, t4, t4, t4)

	// Accesses of one batch count in their order.
	day := 24 * time.Hour
	s.ok(s.c.Touch(s.Context(), []metadata.Access{
		{Hash: content, At: t4.Add(3 * day)}, {Hash: content, At: t4.Add(day)}, {Hash: content, At: t4.Add(3*day + time.Hour)},
	}))
	s.wantTimes("a batch", sd, content, t4, t4.Add(3*day), t4.Add(3*day))
	s.open()
	s.wantTimes("opened again", sd, content, t4, t4.Add(3*day), t4.Add(3*day))
}

// A clock that goes back, or was far ahead, neither fails nor loses a time.
func (s *suite) clock() {
	sd, content := Hash("sd"), Hash("content")
	t0 := noon()
	desc := Stream("t", content)
	s.ok(s.c.PutStream(s.Context(), Blobs(9, t0, sd)[0], desc))
	back := t0.Add(-time.Hour)
	s.ok(s.c.Touch(s.Context(), []metadata.Access{{Hash: sd, At: back}, {Hash: content, At: back}}))
	s.ok(s.c.PutBlobs(s.Context(), Blobs(9, back, sd, content)))
	s.wantTimes("an hour back", sd, content, t0, t0, t0)

	for _, far := range []time.Time{time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1, 2, 3, 0, 0, 0, 0, time.UTC), time.Unix(0, 0)} {
		s.ok(s.c.PutStream(s.Context(), Blobs(9, far, Hash("sd "+far.String()))[0], Stream(far.String(), content)))
		s.ok(s.c.Touch(s.Context(), []metadata.Access{{Hash: sd, At: far}}))
	}
	for _, r := range s.rows() {
		if y := r.Accessed.Year(); s.set.Tracking == metadata.TrackBlobs && (y < 1970 || y > 2038) {
			s.Errorf("accessed at %v", r.Accessed)
		}
	}

	// Zero is now.
	before := time.Now().Add(-time.Second)
	s.ok(s.c.PutStream(s.Context(), Blobs(9, time.Time{}, Hash("now"))[0], Stream("now")))
	got := s.place.StreamAccessed(s.T, s.c, Hash("now"))
	if s.set.Tracking == metadata.TrackBlobs {
		r, _ := s.row(Hash("now"))
		got = r.Accessed
	}
	if s.set.Tracking != metadata.TrackNone && (got.Before(before.Truncate(time.Second)) || got.After(time.Now())) {
		s.Errorf("accessed at %v, want now", got)
	}
}

// Rows that were written at a level without times get one with the first access that is noted; a time that is noted
// outlives a level without.
func (s *suite) levels() {
	at := func(level metadata.Tracking) {
		s.set.Tracking = level
		s.open()
	}
	h, sd, content := Hash("blob"), Hash("sd"), Hash("content")
	t0 := noon()
	at(metadata.TrackNone)
	s.ok(s.c.PutBlobs(s.Context(), Blobs(9, t0, h)))
	s.ok(s.c.PutStream(s.Context(), Blobs(9, t0, sd)[0], Stream("l", content)))
	s.ok(s.c.Touch(s.Context(), []metadata.Access{{Hash: h, At: t0}, {Hash: sd, At: t0}}))
	at(metadata.TrackBlobs)
	s.wantTimes("written without", sd, content, time.Time{}, time.Time{}, time.Time{})
	s.ok(s.c.Touch(s.Context(), []metadata.Access{{Hash: content, At: t0}}))
	s.wantTimes("the first access", sd, content, time.Time{}, t0, time.Time{})
	at(metadata.TrackStreams)
	t1 := t0.Add(24 * time.Hour)
	s.ok(s.c.Touch(s.Context(), []metadata.Access{{Hash: content, At: t1}}))
	s.wantTimes("the stream", sd, content, time.Time{}, time.Time{}, t1)
	at(metadata.TrackNone)
	s.ok(s.c.PutBlobs(s.Context(), Blobs(9, t1, content)))
	at(metadata.TrackBlobs)
	if r, _ := s.row(content); !r.Accessed.Equal(t0) {
		s.Errorf("the blob was accessed at %v, want %v", r.Accessed, t0)
	}
	if got := s.place.StreamAccessed(s.T, s.c, sd); !got.Equal(t1) {
		s.Errorf("the stream was accessed at %v, want %v", got, t1)
	}
}

package syncdb_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/protocol/stream"
	"github.com/OdyseeTeam/prism/stores/disk"
	"github.com/OdyseeTeam/prism/stores/storetest"
	"github.com/OdyseeTeam/prism/tools/fsck/syncdb"
)

// named is an SD blob with a stream_hash and these content blobs.
func named(t testing.TB, streamHash string, content ...blob.Verified) blob.Verified {
	t.Helper()
	var entries []string
	for i, c := range content {
		entries = append(entries, fmt.Sprintf(`{"blob_hash": "%s", "blob_num": %d, "length": %d}`, c.Hash(), i, c.Size()))
	}
	// The spaces make it unlike any other blob of the same stream.
	return storetest.Verified(t, fmt.Appendf(nil, "{ %s\n\"stream_hash\": %q, \"blobs\": [%s]}", strings.Repeat(" ", len(content)), streamHash,
		strings.Join(entries, ", ")))
}

// noteStream notes the stream of an SD blob with other content than its own.
func (b *bed) noteStream(sd blob.Verified, streamHash string, content ...blob.Verified) {
	b.t.Helper()
	desc := stream.SD{StreamHash: streamHash}
	for _, c := range content {
		desc.Blobs, desc.Lengths = append(desc.Blobs, c.Hash()), append(desc.Lengths, int(c.Size()))
	}
	b.with(func(c metadata.Catalogue) error { return c.PutStream(b.t.Context(), rowsOf(time.Time{}, sd)[0], desc) })
}

// wantStream demands what the catalogue has of a stream.
func (b *bed) wantStream(sd blob.Verified, known bool, content ...blob.Verified) {
	b.t.Helper()
	var want []blob.Hash
	for _, c := range content {
		want = append(want, c.Hash())
	}
	b.with(func(c metadata.Catalogue) error {
		got, err := c.Links(b.t.Context(), sd.Hash(), "of none")
		if got.Known != known || !slices.Equal(got.Blobs, want) {
			b.t.Errorf("the catalogue has of the stream %v, want %v, %v", got, known, want)
		}
		return err
	})
}

// streams is an SD blob for each way to be known.
type streams struct {
	content                                        []blob.Verified
	unknown, lacks, more, whole, second, odd, gone blob.Verified
}

func (b *bed) streams() streams {
	b.t.Helper()
	var x streams
	for i := range 5 {
		x.content = append(x.content, storetest.Blob(b.t, uint64(i), 5000+i))
	}
	c := x.content
	x.unknown, x.lacks, x.more = named(b.t, "unknown", c[0], c[4]), named(b.t, "lacks", c[0], c[1], c[2]), named(b.t, "more", c[2])
	x.whole, x.second, x.odd = named(b.t, "whole", c[0], c[1]), named(b.t, "whole", c[2], c[1], c[0]), named(b.t, "not notable", c[0])
	x.gone = named(b.t, "gone", c[3])
	json := storetest.Verified(b.t, []byte(`{"stream_name": "an object that is no SD blob"}`))
	sds := []blob.Verified{x.unknown, x.lacks, x.more, x.whole, x.second, x.odd}
	b.put(blob.KindContent, append(slices.Clone(c[:4]), json)...)
	b.put(blob.KindSD, sds...)
	b.noteStream(x.lacks, "lacks", c[1])
	b.noteStream(x.more, "more", c[0], c[2], c[3])
	b.noteStream(x.whole, "whole", c[0], c[1])
	b.noteStream(x.gone, "gone", c[3])
	b.note(time.Time{}, append(append(slices.Clone(c[:4]), json), sds...)...)
	b.with(func(c metadata.Catalogue) error { return c.Delete(b.t.Context(), []blob.Hash{x.gone.Hash()}) })
	return x
}

// TestStreams finds what the catalogue has not right of streams, sets it right, and finds nothing more.
func TestStreams(t *testing.T) {
	everywhere(t, func(t *testing.T, b *bed) {
		x := b.streams()
		if r := b.run(true, time.Hour); !r.Clean() || r.InFlight != 3 || len(r.Found) > 0 {
			t.Fatalf("all of it is young:\n%s", r)
		}
		r := b.run(false, 0)
		want := map[syncdb.Kind]int64{syncdb.SDWithoutStream: 1, syncdb.StreamDiffers: 2}
		if r.Clean() || !maps.Equal(r.Found, want) || r.Unnoted != 2 || r.SDsGone != 1 || r.InFlight != 0 {
			t.Fatalf("found:\n%s", r)
		}
		for _, line := range []string{
			string(syncdb.SDWithoutStream) + " " + x.unknown.Hash().String() + ": an SD blob that names 2 blobs",
			string(syncdb.StreamDiffers) + " " + x.lacks.Hash().String() + ": its stream in the catalogue lacks 2 of the 3 blobs that it names, and has 0 others",
			string(syncdb.StreamDiffers) + " " + x.more.Hash().String() + ": its stream in the catalogue lacks 0 of the 1 blobs that it names, and has 2 others",
			"2 SD blobs without a stream", "1 streams without their SD blobs",
		} {
			if !strings.Contains(r.String(), line) {
				t.Errorf("the report lacks %q:\n%s", line, r)
			}
		}
		c := x.content
		b.wantStream(x.unknown, false)
		b.wantStream(x.lacks, true, c[1])
		b.wantStream(x.more, true, c[0], c[2], c[3])

		if r := b.run(true, 0); !r.Clean() || !maps.Equal(r.Repaired, want) || r.SDsGone != 1 {
			t.Errorf("repaired:\n%s", r)
		}
		b.agreed()
		b.wantStream(x.unknown, true, c[0], c[4])
		b.wantStream(x.lacks, true, c[0], c[1], c[2])
		b.wantStream(x.more, true, c[2])
		b.wantStream(x.whole, true, c[0], c[1])
		b.wantStream(x.second, false)
		b.wantStream(x.gone, true, c[3])
		rows := b.rows()
		if row := rows[c[4].Hash()]; row.Stored || row.Length != int(c[4].Size()) {
			t.Errorf("a blob that a stream names, and nobody has, has the row %+v", row)
		}
		if !rows[c[3].Hash()].Stored {
			t.Error("a blob that a stream does not name any more is not stored")
		}
	})
}

// TestStreamWithoutSD removes a stream that nothing else would, where deletes remove rows.
func TestStreamWithoutSD(t *testing.T) {
	everywhere(t, func(t *testing.T, b *bed) {
		x := b.streams()
		b.run(true, 0)
		b.hard = true
		b.configure(b.over)
		r := b.run(false, 0)
		want := map[syncdb.Kind]int64{syncdb.StreamWithoutSD: 1}
		if r.Clean() || !maps.Equal(r.Found, want) || r.SDsGone != 0 || !strings.Contains(r.String(), x.gone.Hash().String()) {
			t.Fatalf("found:\n%s", r)
		}
		if r := b.run(true, 0); !r.Clean() || !maps.Equal(r.Repaired, want) {
			t.Errorf("repaired:\n%s", r)
		}
		b.agreed()
		b.wantStream(x.gone, false)
		if rows := b.rows(); !rows[x.content[3].Hash()].Stored {
			t.Error("a blob that the stream named is not stored")
		}
	})
}

// spoil changes one byte of a blob on the disk, wherever it is, and gives what undoes that.
func (b *bed) spoil(v blob.Verified) (undo func()) {
	b.t.Helper()
	path, at := "", -1
	b.must(filepath.WalkDir(b.mount, func(p string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(p)
		if i := bytes.Index(data, v.Bytes()); i >= 0 {
			path, at = p, i
		}
		return err
	}))
	if at < 0 {
		b.t.Fatal("the blob is not on the disk")
	}
	write := func(c byte) {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		b.must(err)
		_, err = f.WriteAt([]byte{c}, int64(at)+2)
		b.must(errors.Join(err, f.Close()))
	}
	write('\t') // in the place of a blank: what says the same, and is another blob
	return func() { write(v.Bytes()[2]) }
}

// TestDamagedSD says of an SD blob that cannot be read what to do, and settles all else.
func TestDamagedSD(t *testing.T) {
	for _, mode := range []disk.Mode{disk.ModeSegments, disk.ModeSharded} {
		t.Run(string(mode), func(t *testing.T) {
			leaktest.Check(t)
			b := newBed(t, mode, nil)
			x := b.streams()
			undo := b.spoil(x.lacks)
			r := b.run(false, 0)
			if r.Clean() || r.Found[syncdb.DamagedSD] != 1 || r.Found[syncdb.StreamDiffers] != 1 {
				t.Errorf("with a damaged SD blob:\n%s", r)
			}
			r = b.run(true, 0)
			if r.Clean() || r.LeftOver != 1 || len(r.Left) != 1 || r.Left[0].Hash != x.lacks.Hash() || r.Left[0].Kind != syncdb.DamagedSD ||
				r.Repaired[syncdb.SDWithoutStream] != 1 {
				t.Errorf("with a damaged SD blob:\n%s", r)
			}
			b.wantStream(x.lacks, true, x.content[1])
			undo()
			if r := b.run(true, 0); !r.Clean() || r.Repaired[syncdb.StreamDiffers] != 1 {
				t.Errorf("when it is right again:\n%s", r)
			}
			b.agreed()
		})
	}
}

// sum is a limit that counts.
type sum struct{ bytes, most int }

func (s *sum) WaitN(_ context.Context, n int) error {
	s.bytes, s.most = s.bytes+n, max(s.most, n)
	return nil
}

// TestStreamsArePaced asks the limit for each SD blob that is read, and for what is read of other files.
func TestStreamsArePaced(t *testing.T) {
	for mode, each := range map[disk.Mode]int{disk.ModeSegments: 128, disk.ModeSharded: 128 + 50} {
		t.Run(string(mode), func(t *testing.T) {
			b := newBed(t, mode, nil)
			const n = 1100
			var blobs []blob.Verified
			for i := range n {
				blobs = append(blobs, storetest.Blob(t, uint64(i), 50))
			}
			sd := named(t, "paced", blobs...)
			b.put(blob.KindContent, blobs...)
			b.put(blob.KindSD, sd)
			b.noteStream(sd, "paced", blobs...)
			b.note(time.Time{}, blobs...)
			limit := &sum{}
			o := b.options(false, 0)
			o.Limit = limit
			r, err := syncdb.Run(t.Context(), o)
			b.must(err)
			want := int(sd.Size()) + 1000*each
			if !r.Clean() || limit.bytes < want || limit.most > blob.MaxSize {
				t.Errorf("%d bytes were paced, %d at most at a time; want at least %d\n%s", limit.bytes, limit.most, want, r)
			}
		})
	}
}

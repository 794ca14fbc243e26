package upload_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/frontends/upload"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/mem"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

// A file, a folder, and a folder of folders; and a second run finds nothing to do.
func TestUpload(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	b := newBed(t)
	one, two, three := storetest.Blob(t, 1, 1), storetest.Blob(t, 2, 70_000), storetest.Blob(t, 3, blob.MaxSize)
	sd := storetest.SDBlob(t, 4)
	path := b.blobFile("", one)
	b.blobFile("ab", two)
	b.blobFile("ab/deep/deeper", three)
	b.blobFile("cd", sd)
	b.file(".hidden", []byte("x"))

	sum, err := b.upload(t.Context(), func(o *upload.Options) { o.Path = path })
	if want := (upload.Summary{Uploaded: 1, Bytes: 1}); sum != want || err != nil {
		t.Errorf("a file: %+v, %v", sum, err)
	}
	sum, err = b.upload(t.Context(), nil)
	want := upload.Summary{Uploaded: 3, SD: 1, Bytes: two.Size() + three.Size() + sd.Size(), Present: 1, Hidden: 1}
	if sum != want || err != nil || b.lines.Len() != 0 {
		t.Errorf("a folder: %+v, %v, %s, want %+v", sum, err, &b.lines, want)
	}
	for _, v := range []blob.Verified{one, two, three, sd} {
		if !b.has(v.Hash()) {
			t.Errorf("%d bytes are not stored", v.Size())
		}
	}
	sum, err = b.upload(t.Context(), nil)
	if want := (upload.Summary{Present: 4, Hidden: 1}); sum != want || err != nil {
		t.Errorf("again: %+v, %v", sum, err)
	}
	sum, err = b.upload(t.Context(), func(o *upload.Options) { o.AskStore = false })
	if sum.Uploaded != 4 || sum.Present != 0 || err != nil {
		t.Errorf("without asking: %+v, %v", sum, err)
	}
}

// SD blobs go in after all content blobs, wherever they lie, and as what they are.
func TestSDBlobsComeLast(t *testing.T) {
	b := newBed(t)
	for i := range uint64(40) {
		b.blobFile(fmt.Sprint(i%3), storetest.Blob(t, i, 100))
		b.blobFile(fmt.Sprint(i%3), storetest.SDBlob(t, i))
	}
	brace, err := blob.Verify(blob.Sum([]byte(`{"a":1}`)), []byte(`{"a":1}`)) // content that looks like JSON
	if err != nil {
		t.Fatal(err)
	}
	b.blobFile("", brace)
	s := &order{Store: b.store}
	sum, err := b.upload(t.Context(), func(o *upload.Options) { o.Store, o.Workers = s, 3 })
	if err != nil || sum.Uploaded != 81 || sum.SD != 40 {
		t.Fatalf("%+v, %v", sum, err)
	}
	if !slices.IsSorted(s.kinds) {
		t.Errorf("the order is %v", s.kinds)
	}
}

// The catalogue is asked in batches, and files go only when the store has the bytes too.
func TestCatalogue(t *testing.T) {
	b := newBed(t)
	c := &knows{all: map[blob.Hash]bool{}}
	stored, gone, fresh, outside := storetest.Blob(t, 1, 10), storetest.Blob(t, 2, 10), storetest.Blob(t, 3, 10), storetest.Blob(t, 4, 10)
	for _, v := range []blob.Verified{stored, outside} {
		if err := b.store.Put(t.Context(), v, blob.KindContent); err != nil {
			t.Fatal(err)
		}
	}
	c.all[stored.Hash()], c.all[gone.Hash()] = true, true
	paths := map[blob.Hash]string{}
	for _, v := range []blob.Verified{stored, gone, fresh, outside} {
		paths[v.Hash()] = b.blobFile("x", v)
	}
	with := func(o *upload.Options) { o.Catalogue, o.Delete, o.AskStore = c, true, true }
	sum, err := b.upload(t.Context(), with)
	want := upload.Summary{Uploaded: 1, Bytes: 10, Present: 3, Deleted: 3, Undeleted: 1}
	if sum != want || !errors.Is(err, upload.ErrFailed) {
		t.Errorf("%+v, %v, want %+v", sum, err, want)
	}
	if !exists(paths[gone.Hash()]) || exists(paths[stored.Hash()]) || exists(paths[fresh.Hash()]) || exists(paths[outside.Hash()]) {
		t.Error("the wrong files went")
	}
	if !strings.Contains(b.lines.String(), "upload it with --skipExistsCheck") {
		t.Errorf("%s", &b.lines)
	}
	if !slices.Equal(c.asked, []int{4}) {
		t.Errorf("batches of %v", c.asked)
	}

	// What the store calls its own counts for its file only where the bytes are.
	empty := mem.New(mem.Options{Name: "empty"})
	path := b.blobFile("y", outside)
	sum, err = b.upload(t.Context(), func(o *upload.Options) { o.Path, o.Delete, o.Holders = path, true, []stores.Store{b.store, empty} })
	if want := (upload.Summary{Present: 1, Undeleted: 1}); sum != want || !errors.Is(err, upload.ErrFailed) || !exists(path) ||
		!strings.Contains(b.lines.String(), "mem-empty does not have it") {
		t.Errorf("%+v, %v, %s", sum, err, &b.lines)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}

	// A catalogue that fails is asked again, and ends the upload in the end.
	broken := errors.New("no catalogue")
	c.errs = []error{broken, broken}
	if sum, err = b.upload(t.Context(), with); sum.Present != 1 {
		t.Errorf("after two failures: %+v, %v", sum, err)
	}
	b.blobFile("x", fresh)
	c.errs = slices.Repeat([]error{broken}, 10)
	if sum, err = b.upload(t.Context(), with); !errors.Is(err, broken) || sum.Uploaded != 0 {
		t.Errorf("for ever: %+v, %v", sum, err)
	}
}

// More files than a batch, of which some are stored.
func TestBatches(t *testing.T) {
	b := newBed(t)
	c := &knows{all: map[blob.Hash]bool{}}
	for i := range 20_500 {
		data := fmt.Append(nil, i)
		h := blob.Sum(data)
		c.all[h] = i%500 != 0
		b.file(fmt.Sprintf("%x/%s", h[0]>>4, h), data)
	}
	sum, err := b.upload(t.Context(), func(o *upload.Options) { o.Catalogue, o.AskStore = c, false })
	if sum.Uploaded != 41 || sum.Present != 20_500-41 || err != nil {
		t.Errorf("%+v, %v", sum, err)
	}
	if !slices.Equal(c.asked, []int{10_000, 10_000, 500}) {
		t.Errorf("batches of %v", c.asked)
	}
	if int(b.store.Calls.Load()) != 41 {
		t.Errorf("%d calls of the store", b.store.Calls.Load())
	}
}

// Files are deleted once their blobs are stored and not before; a store that may forget keeps them all.
func TestDelete(t *testing.T) {
	b := newBed(t)
	good, bad := storetest.Blob(t, 1, 10), storetest.Blob(t, 2, 10)
	goodPath := b.blobFile("", good)
	badPath := b.file(bad.Hash().String(), good.Bytes())
	sum, err := b.upload(t.Context(), func(o *upload.Options) { o.Delete, o.Store = true, mem.New(mem.Options{}) })
	if !errors.Is(err, upload.ErrForgets) || sum != (upload.Summary{}) || !exists(goodPath) {
		t.Errorf("a store in memory: %+v, %v", sum, err)
	}
	sum, err = b.upload(t.Context(), func(o *upload.Options) { o.Delete = true })
	if want := (upload.Summary{Uploaded: 1, Bytes: 10, Deleted: 1, Failed: 1}); sum != want || !errors.Is(err, upload.ErrFailed) {
		t.Errorf("%+v, %v", sum, err)
	}
	if exists(goodPath) || !exists(badPath) {
		t.Error("the wrong file went")
	}
	// What fails to be stored stays.
	goodPath = b.blobFile("", storetest.Blob(t, 3, 10))
	b.store.Fail(blob.ErrFull)
	sum, _ = b.upload(t.Context(), func(o *upload.Options) { o.Delete, o.AskStore = true, false })
	if sum.Deleted != 0 || sum.Failed != 2 || !exists(goodPath) {
		t.Errorf("%+v", sum)
	}
}

// A folder that takes no changes: the blobs are stored, and each file that stays is named.
func TestUndeletable(t *testing.T) {
	b := newBed(t)
	v := storetest.Blob(t, 1, 10)
	path := b.blobFile("", v)
	s := &order{Store: b.store, at: func(int, blob.Verified, blob.Kind) error { return makeUndeletable(path) }}
	sum, err := b.upload(t.Context(), func(o *upload.Options) { o.Store, o.Delete = s, true })
	if want := (upload.Summary{Uploaded: 1, Bytes: 10, Undeleted: 1}); sum != want || !errors.Is(err, upload.ErrFailed) {
		t.Errorf("%+v, %v", sum, err)
	}
	if !strings.Contains(b.lines.String(), "not deleted: "+path+": ") {
		t.Errorf("%s", &b.lines)
	}
}

// makeUndeletable puts a folder that is not empty into the place of a file, which no user can delete as a file.
func makeUndeletable(path string) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	return os.MkdirAll(filepath.Join(path, "x"), 0o755)
}

// Blobs that the store refuses for good are named, and are no failures.
func TestBlocked(t *testing.T) {
	b := newBed(t)
	sd, other := storetest.SDBlob(t, 1), storetest.SDBlob(t, 2)
	path := b.blobFile("", sd)
	b.blobFile("", other)
	s := &choosy{Store: b.store, blocked: sd.Hash()}
	sum, err := b.upload(t.Context(), func(o *upload.Options) { o.Store, o.Delete = s, true })
	want := upload.Summary{Uploaded: 1, SD: 1, Bytes: other.Size(), Blocked: 1, Deleted: 1}
	if sum != want || err != nil || b.has(sd.Hash()) || !exists(path) {
		t.Errorf("%+v, %v", sum, err)
	}
	s.err = errors.New("no answer")
	if sum, err = b.upload(t.Context(), func(o *upload.Options) { o.Store = s }); sum.Failed != 1 || !errors.Is(err, upload.ErrFailed) {
		t.Errorf("%+v, %v", sum, err)
	}
}

type choosy struct {
	stores.Store
	blocked blob.Hash
	err     error
}

func (c *choosy) Wants(_ context.Context, h blob.Hash) (bool, bool, error) {
	return h != c.blocked, h == c.blocked, c.err
}

// Memory does not grow with the number of files.
func TestMemoryIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 100,000 files")
	}
	b := newBed(t)
	c := &knows{all: map[blob.Hash]bool{}}
	for i := range 100_000 {
		h := blob.Hash{byte(i), byte(i >> 8), byte(i >> 16)}
		c.all[h] = true
		if err := os.WriteFile(filepath.Join(b.dir, h.String()), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	var most uint64
	sum, err := b.upload(t.Context(), func(o *upload.Options) {
		o.AskStore = false
		o.Catalogue = asked(func(hashes []blob.Hash) ([]bool, error) {
			runtime.GC()
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc)
			return c.Stored(context.Background(), hashes)
		})
	})
	if sum.Present != 100_000 || err != nil {
		t.Fatalf("%+v, %v", sum, err)
	}
	if grown := int64(most) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
}

type asked func([]blob.Hash) ([]bool, error)

func (a asked) Stored(_ context.Context, hashes []blob.Hash) ([]bool, error) { return a(hashes) }

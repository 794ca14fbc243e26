package upload_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/frontends/upload"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

// Whatever else lies in a folder is named with its reason, and everything else is uploaded.
func TestBadFiles(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	b := newBed(t)
	n := uint64(100)
	name := func() string { // of a blob that is not there
		n++
		return storetest.Blob(t, n, 10).Hash().String()
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	good, linked := storetest.Blob(t, 1, 1000), storetest.Blob(t, 2, 1000)
	b.blobFile("good", good)
	want := map[string]string{}
	bad := func(name, why string) string {
		path := filepath.Join(b.dir, name)
		want[path] = why
		return path
	}
	b.file("notes.txt", []byte("x"))
	bad("notes.txt", "its name is not that of a blob")
	b.file(strings.ToUpper(good.Hash().String()), good.Bytes())
	bad(strings.ToUpper(good.Hash().String()), "its name is not that of a blob")
	other := name()
	b.file(other, good.Bytes())
	bad(other, "its bytes are not what its name says")
	short := storetest.Blob(t, 3, 1000)
	b.file(short.Hash().String(), short.Bytes()[:999])
	bad(short.Hash().String(), "its bytes are not what its name says")
	empty := blob.Sum(nil).String()
	b.file(empty, nil)
	bad(empty, "blob is empty")
	big := make([]byte, 3<<20)
	b.file(blob.Sum(big).String(), big)
	bad(blob.Sum(big).String(), "larger than 2 MiB")
	big = big[:blob.MaxSize+1]
	b.file(blob.Sum(big).String(), big)
	bad(blob.Sum(big).String(), "larger than 2 MiB")
	must(syscall.Mkfifo(bad(name(), "not a regular file"), 0o644))
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	must(err)
	defer ln.Close()
	must(os.Symlink(ln.Addr().String(), bad(name(), "not a regular file")))
	loop := name()
	must(os.Symlink(loop, bad(loop, "too many levels of symbolic links")))
	must(os.Symlink("nowhere", bad(name(), "it is a link to nothing")))
	must(os.Symlink("/dev/zero", bad(name(), "not a regular file")))
	must(os.Symlink(".", bad(name(), "a link to a folder is not followed")))
	must(os.Symlink("..", bad("up", "its name is not that of a blob")))
	must(os.Symlink(filepath.Join(b.dir, "good", good.Hash().String()), filepath.Join(b.dir, name())))
	bad(storetest.Blob(t, n, 10).Hash().String(), "its bytes are not what its name says")
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	must(os.WriteFile(elsewhere, linked.Bytes(), 0o600))
	must(os.Symlink(elsewhere, filepath.Join(b.dir, linked.Hash().String()))) // a link to a good file is good
	must(os.Mkdir(filepath.Join(b.dir, name()), 0o755))                       // a folder may have any name
	if os.Geteuid() != 0 {
		path := b.file(name(), []byte("x"))
		must(os.Chmod(path, 0))
		want[path] = "permission denied"
		must(os.Mkdir(bad("closed", "permission denied"), 0))
	}

	sum, err := b.upload(t.Context(), nil)
	if sum.Uploaded != 2 || sum.Failed != int64(len(want)) || !errors.Is(err, upload.ErrFailed) {
		t.Errorf("%+v, %v, want %d failures", sum, err, len(want))
	}
	lines := b.lines.String()
	for path, why := range want {
		if !strings.Contains(lines, "failed: "+path+": "+why) && !named(lines, path, why) {
			t.Errorf("%s: %q is not in\n%s", path, why, lines)
		}
	}
}

// named says whether a line about a path has a reason somewhere.
func named(lines, path, why string) bool {
	for line := range strings.Lines(lines) {
		if strings.HasPrefix(line, "failed: "+path+": ") && strings.Contains(line, why) {
			return true
		}
	}
	return false
}

func TestBadPath(t *testing.T) {
	b := newBed(t)
	f := func(path string, want error) {
		t.Helper()
		sum, err := b.upload(t.Context(), func(o *upload.Options) { o.Path = path })
		if !errors.Is(err, want) || sum.Uploaded != 0 {
			t.Errorf("%s: %+v, %v", path, sum, err)
		}
	}
	f(filepath.Join(b.dir, "none"), fs.ErrNotExist)
	f(b.file("a/b", nil)+"/c", syscall.ENOTDIR)
	f(b.file("a/b", nil), upload.ErrFailed)
	f("/dev/zero", upload.ErrFailed)
}

// Files that go away or change between the walk and the read are named.
func TestFilesThatChange(t *testing.T) {
	b := newBed(t)
	gone, changed := storetest.Blob(t, 1, 10), storetest.Blob(t, 2, 10)
	gonePath, changedPath := b.blobFile("", gone), b.blobFile("", changed)
	c := &knows{}
	sum, err := b.upload(t.Context(), func(o *upload.Options) {
		o.Catalogue = asked(func(hashes []blob.Hash) ([]bool, error) {
			if e := errors.Join(os.Remove(gonePath), os.WriteFile(changedPath, []byte("other"), 0o600)); e != nil {
				t.Error(e)
			}
			return c.Stored(context.Background(), hashes)
		})
	})
	if sum.Failed != 2 || !errors.Is(err, upload.ErrFailed) || !named(b.lines.String(), gonePath, "vanished") ||
		!named(b.lines.String(), changedPath, "its bytes are not what its name says") {
		t.Errorf("%+v, %v, %s", sum, err, &b.lines)
	}
}

// A store that fails every time ends the upload before it has named a million blobs; one that fails now and then does not.
func TestStoreKeepsFailing(t *testing.T) {
	b := newBed(t)
	for i := range uint64(100) {
		b.blobFile("", storetest.Blob(t, i, 10))
	}
	broken := errors.New("no store")
	for _, ask := range []bool{true, false} {
		b.store.Fail(broken)
		sum, err := b.upload(t.Context(), func(o *upload.Options) { o.AskStore = ask })
		if !errors.Is(err, upload.ErrStore) || !errors.Is(err, broken) || sum.Failed < 20 || !ask && sum.Failed > 25 || sum.Uploaded != 0 {
			t.Errorf("%+v, %v", sum, err)
		}
	}
	b.store.Fail(nil)
	s := &order{Store: b.store, at: func(n int, _ blob.Verified, _ blob.Kind) error {
		if n%3 == 0 {
			return broken
		}
		return nil
	}}
	sum, err := b.upload(t.Context(), func(o *upload.Options) { o.Store, o.AskStore = s, false })
	if sum.Uploaded != 67 || sum.Failed != 33 || !errors.Is(err, upload.ErrFailed) {
		t.Errorf("%+v, %v", sum, err)
	}
}

// Who interrupts an upload loses nothing: what is under way is finished, SD blobs are not begun, and the next run does
// the rest.
func TestInterrupted(t *testing.T) {
	leaktest.Check(t)
	b := newBed(t)
	for i := range uint64(50) {
		b.blobFile("", storetest.Blob(t, i, 10))
	}
	b.blobFile("", storetest.SDBlob(t, 1))
	ctx, cancel := context.WithCancel(t.Context())
	s := &order{Store: b.store, at: func(n int, _ blob.Verified, _ blob.Kind) error {
		if n == 10 {
			cancel()
		}
		return nil
	}}
	first, err := b.upload(ctx, func(o *upload.Options) { o.Store, o.Delete = s, true })
	if !errors.Is(err, context.Canceled) || first.Uploaded < 10 || first.Uploaded > 14 || first.SD != 0 || first.Failed != 0 {
		t.Errorf("%+v, %v", first, err)
	}
	second, err := b.upload(t.Context(), func(o *upload.Options) { o.Store, o.Delete = s, true })
	if err != nil || first.Uploaded+second.Uploaded != 51 || first.Deleted+second.Deleted != 51 {
		t.Errorf("%+v, then %+v, %v", first, second, err)
	}
}

// A store that hangs does not hold up the end for ever.
func TestInterruptedWhileTheStoreHangs(t *testing.T) {
	leaktest.Check(t)
	b := newBed(t)
	path := b.blobFile("", storetest.Blob(t, 1, 10))
	ctx, cancel := context.WithCancel(t.Context())
	sum, err := b.upload(ctx, func(o *upload.Options) {
		o.Store, o.Grace, o.Delete, o.AskStore = hanging{b.store, cancel}, time.Millisecond, true, false
	})
	if !errors.Is(err, context.Canceled) || sum.Failed != 1 || !exists(path) {
		t.Errorf("%+v, %v", sum, err)
	}
}

type hanging struct {
	*storetest.Bent
	called func()
}

func (h hanging) Put(ctx context.Context, _ blob.Verified, _ blob.Kind) error {
	h.called()
	<-ctx.Done()
	return ctx.Err()
}

package download_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/frontends/download"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/protocol/stream"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/mem"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

// origin is a store with one stream, which may be told to fail.
type origin struct {
	stores.Store
	fail func(n int, h blob.Hash) error // of the n-th Get

	mu   sync.Mutex
	gets int
}

func (o *origin) Get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	o.mu.Lock()
	o.gets++
	n := o.gets
	o.mu.Unlock()
	if o.fail != nil {
		if err := o.fail(n, h); err != nil {
			return nil, err
		}
	}
	return o.Store.Get(ctx, h)
}

// newStream packs a file into a store.
func newStream(t *testing.T, name string, size int) (*origin, blob.Hash, *stream.Descriptor, []byte) {
	t.Helper()
	file := make([]byte, 0, size)
	for i := uint64(0); len(file) < size; i++ {
		file = append(file, storetest.Blob(t, i, min(size-len(file), 1<<20)).Bytes()...)
	}
	s := mem.New(mem.Options{})
	sd, d, err := stream.Pack(bytes.NewReader(file), stream.PackOptions{Name: name, Keep: func(p stream.Packed) error {
		v, err := blob.Verify(p.Hash, p.Data)
		if err != nil {
			return err
		}
		return s.Put(t.Context(), v, p.Kind)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n := s.Pinned(); n != 0 {
			t.Errorf("%d handles are left", n)
		}
	})
	return &origin{Store: s}, sd, d, file
}

// want compares a file, and what else is in its folder.
func want(t *testing.T, path string, data []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%s: %d bytes, want %d, %v", path, len(got), len(data), err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestFetch(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	for _, size := range []int{1, stream.PieceSize, stream.PieceSize + 1, 12<<20 + 7} {
		o, sd, d, file := newStream(t, "a file.bin", size)
		for _, atOnce := range []int{1, 2, 8} {
			dir := t.TempDir()
			res, err := download.Fetch(t.Context(), download.Options{Origin: o, SD: sd, Output: dir, AtOnce: atOnce})
			path := filepath.Join(dir, "a file.bin")
			if want := (download.Result{Path: path, Size: int64(size), Blobs: len(d.Blobs)}); res != want || err != nil {
				t.Fatalf("%d bytes: %+v, %v, want %+v", size, res, err, want)
			}
			want(t, path, file)
		}
	}
}

// Without a name the one that the stream suggests is taken in the working folder; a file that exists stays unless told.
func TestTarget(t *testing.T) {
	o, sd, _, file := newStream(t, "a.bin", 100)
	dir := t.TempDir()
	t.Chdir(dir)
	f := func(output string, force bool, path string, wantErr error, words string) {
		t.Helper()
		res, err := download.Fetch(t.Context(), download.Options{Origin: o, SD: sd, Output: output, Force: force})
		if res.Path != path || (err == nil) != (path != "") || wantErr != nil && !errors.Is(err, wantErr) ||
			err != nil && !strings.Contains(err.Error(), words) {
			t.Errorf("-o %q: %+v, %v", output, res, err)
		}
	}
	f("", false, "a.bin", nil, "")
	want(t, filepath.Join(dir, "a.bin"), file)
	f("", false, "", download.ErrExists, "--force")
	f("./", false, "", download.ErrExists, "--force")
	if err := os.WriteFile("a.bin", []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	f("a.bin", false, "", download.ErrExists, "--force")
	want(t, filepath.Join(dir, "a.bin"), []byte("mine"))
	f("a.bin", true, "a.bin", nil, "")
	want(t, filepath.Join(dir, "a.bin"), file)
	f("none/a.bin", false, "", nil, "make it first")
	f("none/", false, "", nil, "make it first")
	if err := os.MkdirAll("sub/a.bin", 0o755); err != nil {
		t.Fatal(err)
	}
	f("sub", true, "", download.ErrExists, "is a folder")
	f("sub/other", false, "sub/other", nil, "")
}

// A file that comes up meanwhile is not replaced, and the stream is not lost.
func TestTargetComesUp(t *testing.T) {
	o, sd, _, _ := newStream(t, "a", 100)
	path := filepath.Join(t.TempDir(), "a")
	o.fail = func(n int, _ blob.Hash) error {
		if n == 2 {
			return os.WriteFile(path, []byte("mine"), 0o600)
		}
		return nil
	}
	_, err := download.Fetch(t.Context(), download.Options{Origin: o, SD: sd, Output: path})
	if got, _ := os.ReadFile(path); !errors.Is(err, download.ErrExists) || string(got) != "mine" {
		t.Errorf("%v, and the file is %q", err, got)
	}
}

// A download that was broken off goes on where it ended, and trusts nothing that it finds.
func TestResume(t *testing.T) {
	leaktest.FDs(t)
	o, sd, d, file := newStream(t, "a", 8*stream.PieceSize+5)
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	fetch := func(ctx context.Context) (download.Result, error) {
		o.gets = 0
		return download.Fetch(ctx, download.Options{Origin: o, SD: sd, Output: path, AtOnce: 2, RetryAfter: time.Millisecond})
	}
	lost := errors.New("the server is gone")
	o.fail = func(_ int, h blob.Hash) error {
		if h == d.Blobs[5].Hash {
			return lost
		}
		return nil
	}
	_, err := fetch(t.Context())
	if !errors.Is(err, lost) || !strings.Contains(err.Error(), "blob 6 of 9") || !strings.Contains(err.Error(), "the same command goes on from there") {
		t.Fatalf("%v", err)
	}
	parts, _ := filepath.Glob(dir + "/.prism-*.part")
	if len(parts) != 1 {
		t.Fatalf("parts %q", parts)
	}
	// A byte of the fourth piece turns, as after a power cut: what is behind it is fetched again.
	f, err := os.OpenFile(parts[0], os.O_RDWR, 0)
	if err == nil {
		_, err = f.WriteAt([]byte{file[3*stream.PieceSize+9] ^ 1}, 3*stream.PieceSize+9)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	o.fail = func(_ int, h blob.Hash) error {
		if h == d.Blobs[7].Hash {
			cancel()
		}
		return nil
	}
	if _, err := fetch(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	o.fail = nil
	res, err := fetch(t.Context())
	if err != nil || res.Kept < 3 || res.Size != int64(len(file)) || o.gets != 1+len(d.Blobs)-res.Kept {
		t.Errorf("%+v, %v, %d gets", res, err, o.gets)
	}
	want(t, path, file)
}

// Two downloads of one stream do not write into each other's file.
func TestInUse(t *testing.T) {
	o, sd, _, file := newStream(t, "a", 100)
	path := filepath.Join(t.TempDir(), "a")
	var inner error
	o.fail = func(n int, _ blob.Hash) error {
		if n == 2 {
			_, inner = download.Fetch(t.Context(), download.Options{Origin: o, SD: sd, Output: path})
		}
		return nil
	}
	_, err := download.Fetch(t.Context(), download.Options{Origin: o, SD: sd, Output: path})
	if err != nil || !errors.Is(inner, download.ErrInUse) {
		t.Errorf("%v, and the second %v", err, inner)
	}
	want(t, path, file)
}

// What a server does wrong is said, and leaves nothing.
func TestFetchRefuses(t *testing.T) {
	leaktest.Check(t)
	o, sd, d, _ := newStream(t, "a", 100)
	content := d.Blobs[0].Hash
	f := func(origin stores.Store, sd blob.Hash, wantErr error, words string) {
		t.Helper()
		dir := t.TempDir()
		_, err := download.Fetch(t.Context(), download.Options{Origin: origin, SD: sd, Output: dir, RetryAfter: time.Nanosecond})
		if !errors.Is(err, wantErr) || !strings.Contains(err.Error(), words) {
			t.Errorf("%v, want %v %q", err, wantErr, words)
		}
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Errorf("%v left %v", err, left)
		}
	}
	failing := func(h blob.Hash, err error) *origin {
		return &origin{Store: o.Store, fail: func(_ int, got blob.Hash) error {
			if got == h {
				return err
			}
			return nil
		}}
	}
	f(o, blob.Hash{1}, blob.ErrNotFound, "does not have the stream")
	f(o, content, stream.ErrNotSD, content.Short())
	f(failing(sd, blob.ErrProtected), sd, blob.ErrProtected, "get the SD blob")
	gone := failing(content, blob.ErrNotFound)
	f(gone, sd, blob.ErrNotFound, "blob 1 of 1")
	if gone.gets != 2 {
		t.Errorf("%d gets: what is not there is asked for once", gone.gets)
	}
	down := failing(content, blob.ErrUnavailable)
	f(down, sd, blob.ErrUnavailable, "blob 1 of 1")
	if down.gets != 5 {
		t.Errorf("%d gets, want 1 and 4", down.gets)
	}
	once := &origin{Store: o.Store, fail: func(n int, _ blob.Hash) error {
		if n == 2 {
			return blob.ErrUnavailable
		}
		return nil
	}}
	if _, err := download.Fetch(t.Context(), download.Options{Origin: once, SD: sd, Output: t.TempDir(), RetryAfter: time.Nanosecond}); err != nil {
		t.Errorf("a server that failed once: %v", err)
	}
	// An SD blob whose key is another one: all sums are right, and the content is not its own.
	other := *d
	other.Key[0] ^= 1
	data := other.Encode()
	v, err := blob.Verify(blob.Sum(data), data)
	if err == nil {
		err = o.Store.Put(t.Context(), v, blob.KindSD)
	}
	if err != nil {
		t.Fatal(err)
	}
	f(o, v.Hash(), stream.ErrContent, "the key or the IV is not its own")
}

func TestOpen(t *testing.T) {
	f := func(address, token, name string) {
		t.Helper()
		s, err := download.Open(address, token)
		if name == "" {
			if !errors.Is(err, download.ErrAddress) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: %v", address, err)
			}
			return
		}
		if err != nil || s.Name() != name {
			t.Fatalf("%s: %v, %v", address, s, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	f("http://localhost:5569", "", "upstream")
	f("https://example.com/", "secret", "upstream")
	f("http3://localhost", "", "http3")
	f("quic://[::1]:5568/", "", "http3")
	f("peer://localhost:5567", "", "peer")
	f("tcp://localhost", "", "peer")
	f("", "", "")
	f("localhost:5569", "", "")
	f("http://", "", "")
	f("ftp://localhost", "", "")
	f("http://localhost/?a=secret", "", "")
	f("peer://localhost/x", "", "")
	f("peer://localhost", "secret", "")
	f("http3://u:secret@localhost", "", "")
	f("http://u:secret\x7f@localhost", "", "")
}

package upload_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/frontends/upload"
	"github.com/OdyseeTeam/prism/internal/progress"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/mem"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

// bed is a folder of blobs and a store that keeps what it is given.
type bed struct {
	t     *testing.T
	dir   string
	store *storetest.Bent
	lines bytes.Buffer
}

func newBed(t *testing.T) *bed {
	return &bed{t: t, dir: t.TempDir(), store: storetest.Bend(mem.New(mem.Options{Name: "m"}))}
}

// file writes a file below the folder, and makes the folders above it.
func (b *bed) file(name string, data []byte) string {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		b.t.Fatal(err)
	}
	return path
}

// blobFile writes a blob under its name in a folder below the folder.
func (b *bed) blobFile(dir string, v blob.Verified) string {
	b.t.Helper()
	return b.file(filepath.Join(dir, v.Hash().String()), v.Bytes())
}

// upload uploads the folder, with what is changed of the options.
func (b *bed) upload(ctx context.Context, change func(*upload.Options)) (upload.Summary, error) {
	b.t.Helper()
	b.lines.Reset()
	o := upload.Options{
		Path: b.dir, Store: b.store, Workers: 2, AskStore: true, RetryAfter: time.Millisecond,
		Meter: progress.New(progress.Options{Out: &b.lines, Items: "blobs", Every: time.Hour}),
	}
	if change != nil {
		change(&o)
	}
	sum, err := upload.Upload(ctx, o)
	sum.Took = 0
	return sum, err
}

// has says whether the store has a blob, without counting as a call.
func (b *bed) has(h blob.Hash) bool {
	b.t.Helper()
	has, err := b.store.Store.Has(context.Background(), h)
	if err != nil {
		b.t.Fatal(err)
	}
	return has
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// knows is a catalogue with some blobs.
type knows struct {
	mu    sync.Mutex
	all   map[blob.Hash]bool
	asked []int // sizes of batches
	errs  []error
}

func (k *knows) Stored(_ context.Context, hashes []blob.Hash) ([]bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = append(k.asked, len(hashes))
	if len(k.errs) > 0 {
		err := k.errs[0]
		k.errs = k.errs[1:]
		if err != nil {
			return nil, err
		}
	}
	out := make([]bool, len(hashes))
	for i, h := range hashes {
		out[i] = k.all[h]
	}
	return out, nil
}

// order notes the kinds in the order of the puts, and may do something at each.
type order struct {
	stores.Store
	at func(n int, v blob.Verified, kind blob.Kind) error

	mu    sync.Mutex
	kinds []blob.Kind
}

func (o *order) Put(ctx context.Context, v blob.Verified, kind blob.Kind) error {
	o.mu.Lock()
	o.kinds = append(o.kinds, kind)
	n := len(o.kinds)
	o.mu.Unlock()
	if o.at != nil {
		if err := o.at(n, v, kind); err != nil {
			return err
		}
	}
	return o.Store.Put(ctx, v, kind)
}

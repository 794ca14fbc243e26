package admin_test

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/admin"
	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/engine/check/checktest"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/segments"
	"github.com/OdyseeTeam/prism/segments/mount"
	"github.com/OdyseeTeam/prism/stores/disk"
)

// patience is that of tests: nothing that is waited for takes as long.
const patience = time.Minute

// bed is a store that is served on a socket.
type bed struct {
	t      *testing.T
	store  *disk.Store
	dir    string
	socket string
	client *admin.Client
	stop   func() // ends the server, and waits for it
}

func openStore(t *testing.T, o disk.Options) *disk.Store {
	t.Helper()
	o.Logger = slog.New(slog.DiscardHandler)
	if o.MountPoint == "" {
		o.MountPoint = filepath.Join(t.TempDir(), "mount")
	}
	o.MinFree = 1 << 20
	if o.Mode == disk.ModeAuto {
		o.Mode, o.SegmentSize = disk.ModeSegments, 16<<20
	}
	checktest.After(t, nil, o.MountPoint)
	s, err := disk.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// serve opens a store and serves it.
func serve(t *testing.T, o disk.Options, a admin.Options) *bed {
	t.Helper()
	b := &bed{t: t, store: openStore(t, o)}
	b.dir = b.store.Dir()
	a.Stores = append(a.Stores, b.store)
	b.start(a)
	return b
}

// start serves stores on a socket of their own.
func (b *bed) start(a admin.Options) {
	b.t.Helper()
	if a.Logger == nil {
		a.Logger = slog.New(slog.DiscardHandler)
	}
	b.socket = filepath.Join(b.t.TempDir(), "a.sock")
	ln, err := admin.Listen(b.socket)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- admin.New(a).Serve(ctx, ln) }()
	b.client = admin.NewClient(b.socket)
	stopped := false
	b.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				b.t.Error(err)
			}
		case <-time.After(patience):
			b.t.Error("the server does not stop")
		}
	}
	b.t.Cleanup(b.stop)
}

// put stores a blob of n bytes made from a seed.
func (b *bed) put(seed uint64, n int) blob.Hash {
	b.t.Helper()
	v := makeBlob(b.t, seed, n)
	if err := b.store.Put(b.t.Context(), v, blob.KindContent); err != nil {
		b.t.Fatal(err)
	}
	return v.Hash()
}

func makeBlob(t *testing.T, seed uint64, n int) blob.Verified {
	t.Helper()
	p := make([]byte, n)
	rng := rand.New(rand.NewPCG(seed, 1))
	for i := range p {
		p[i] = byte(rng.Uint32())
	}
	v, err := blob.Verify(blob.Sum(p), p)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// ask sends a request as curl would, and wants a status.
func (b *bed) ask(method, target, body string, want int) string {
	b.t.Helper()
	c := http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", b.socket)
		},
	}}
	req, err := http.NewRequestWithContext(b.t.Context(), method, "http://prism"+target, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if resp.StatusCode != want {
		b.t.Errorf("%s %s: %d %s, want %d", method, target, resp.StatusCode, text, want)
	}
	return string(text)
}

// place is where a blob is.
type place struct {
	segments.Location
	hash blob.Hash
}

// readPlaces reads the rows of a view to their end, in the order of slots.
func readPlaces(t *testing.T, v check.View) []place {
	t.Helper()
	var places []place
	_, _, err := v.Rows.Meta()
	if err == nil {
		_, err = v.Rows.Segments()
	}
	if err == nil {
		err = v.Rows.All(func(h blob.Hash, e index.Entry) error {
			places = append(places, place{e.Location, h})
			return nil
		})
	}
	if err == nil {
		err = v.Rows.Order(func(index.OrderRow) error { return nil })
	}
	if err = errors.Join(err, v.Close()); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.Segment, b.Segment), cmp.Compare(a.Slot, b.Slot))
	})
	return places
}

func segmentPath(dir string, id segments.ID) string {
	return filepath.Join(dir, "segments", mount.SegmentName(id))
}

// patch inverts a byte of the segment that a record is in.
func patch(t *testing.T, dir string, l segments.Location, off int64) {
	t.Helper()
	f, err := os.OpenFile(segmentPath(dir, l.Segment), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 1)
	if _, err = f.ReadAt(p, off); err == nil {
		p[0] ^= 0xff
		_, err = f.WriteAt(p, off)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

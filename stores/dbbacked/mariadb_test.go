package dbbacked_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/internal/testbed"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/mysql"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/dbbacked"
	"github.com/OdyseeTeam/prism/stores/disk"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

var outage = flag.Duration("outage", 500*time.Millisecond, "how long TestMariaDBFaults leaves the server stopped")

// openMariaDB is a catalogue in a database of a server.
func openMariaDB(t testing.TB, s *testbed.MariaDBServer, database string) metadata.Catalogue {
	t.Helper()
	c, err := mysql.New(mysql.Options{
		Host: s.Host, Port: s.Port, User: s.User, Password: s.Password, Database: database,
		CreateSchema: true, Tracking: metadata.TrackBlobs, Timeout: 10 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestConformanceMariaDB is the suite over a real server, in the modes that files choose most.
func TestConformanceMariaDB(t *testing.T) {
	server := testbed.MariaDB(t, testbed.MariaDBOptions{})
	for sync, mode := range map[dbbacked.Sync]disk.Mode{
		dbbacked.WriteThrough: disk.ModeSegments, dbbacked.WriteBehind: disk.ModeSharded,
	} {
		t.Run(string(sync), func(t *testing.T) {
			databases := map[string]string{} // by folder, for what re-opens
			storetest.Run(t, storetest.Config{OpenDir: func(t *testing.T, dir string) stores.Store {
				if databases[dir] == "" {
					databases[dir] = server.Database(t)
				}
				return openStore(t, dbbacked.Options{
					Store:     openDisk(t, disk.Options{MountPoint: filepath.Join(dir, "mount"), Mode: mode}),
					Catalogue: openMariaDB(t, server, databases[dir]), Sync: sync,
				})
			}})
		})
	}
}

// TestMariaDBFaults serves under load while the server is stopped, frozen, killed and started again: no hit fails, no
// acknowledged put is lost, and afterwards the two agree.
func TestMariaDBFaults(t *testing.T) {
	for _, mode := range modes {
		for _, sync := range []dbbacked.Sync{dbbacked.WriteBehind, dbbacked.WriteThrough} {
			t.Run(string(mode)+", "+string(sync), func(t *testing.T) { mariaDBFaults(t, mode, sync) })
		}
	}
}

func mariaDBFaults(t *testing.T, mode disk.Mode, sync dbbacked.Sync) {
	leaktest.Check(t)
	server := testbed.MariaDB(t, testbed.MariaDBOptions{})
	o := disk.Options{MountPoint: t.TempDir(), Mode: mode, MinFree: 1}
	if mode == disk.ModeSegments {
		o.SegmentSize = 8 * mib
	}
	d := openDisk(t, o)
	cat := openMariaDB(t, server, server.Database(t))
	s := openStore(t, dbbacked.Options{Store: d, Catalogue: cat, Sync: sync, AskTimeout: 200 * time.Millisecond})
	load := &load{t: t, s: s, sync: sync}
	stop := load.run()
	for _, fault := range []struct {
		name       string
		begin, end func() error
	}{
		{"stopped", server.Stop, func() error { return server.Start(t.Context()) }},
		{"frozen", server.Freeze, server.Thaw},
		{"killed", func() error { server.Kill(); return nil }, func() error { return server.Start(t.Context()) }},
	} {
		load.wait("hits before the server is " + fault.name)
		if err := fault.begin(); err != nil {
			t.Fatal(fault.name, err)
		}
		if fault.name == "stopped" {
			<-time.After(*outage) // the load goes on
		}
		load.wait("hits while the server is " + fault.name)
		if err := fault.end(); err != nil {
			t.Fatal(fault.name, err)
		}
		load.wait("hits after the server was " + fault.name)
	}
	stop()
	eventually(t, "the catalogue", func() bool {
		_, err := cat.Count(t.Context())
		return err == nil
	})
	agree(t, d, cat)
	for _, v := range load.stored {
		hit(t, s, v.Hash())
		if !storedIn(t, cat, v.Hash()) {
			t.Errorf("%s was acknowledged, and has no row", v.Hash().Short())
		}
	}
	t.Logf("%d hits, %d puts, %d puts refused", load.hits.Load(), len(load.stored), load.refused.Load())
}

// load is readers and a writer.
type load struct {
	t             *testing.T
	s             *dbbacked.Store
	sync          dbbacked.Sync
	hits, refused atomic.Int64

	mu     sync.Mutex
	stored []blob.Verified
}

// run begins, and gives what ends it.
func (l *load) run() (stop func()) {
	ctx, cancel := context.WithCancel(l.t.Context())
	var wg sync.WaitGroup
	first := storetest.Blob(l.t, 0, 1000)
	put(l.t, l.s, first, blob.KindContent)
	l.stored = append(l.stored, first)
	for range 2 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if err := l.hit(i); err != nil {
					l.t.Errorf("a hit failed: %v", err)
					return
				}
			}
		})
	}
	wg.Go(func() {
		for i := uint64(1); ctx.Err() == nil && i < 2000; i++ {
			l.put(ctx, storetest.Blob(l.t, i, 1000+int(i)))
			select {
			case <-ctx.Done():
			case <-time.After(max(2*time.Millisecond, *outage/1000)): // half of all within the outage
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}

func (l *load) hit(i int) error {
	l.mu.Lock()
	v := l.stored[i%len(l.stored)]
	l.mu.Unlock()
	handle, err := l.s.Get(context.Background(), v.Hash())
	if err != nil {
		return err
	}
	defer handle.Release()
	var got bytes.Buffer
	if _, err := handle.WriteTo(&got); err != nil {
		return err
	}
	if !bytes.Equal(got.Bytes(), v.Bytes()) {
		return fmt.Errorf("%d other bytes", got.Len())
	}
	l.hits.Add(1)
	return nil
}

func (l *load) put(ctx context.Context, v blob.Verified) {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	err := l.s.Put(ctx, v, blob.KindContent)
	switch {
	case err == nil:
		l.mu.Lock()
		defer l.mu.Unlock()
		l.stored = append(l.stored, v)
	case l.sync == dbbacked.WriteBehind && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded):
		l.t.Errorf("a put failed: %v", err)
	default:
		l.refused.Add(1)
	}
}

// wait waits for some hits more, and for the clock, so that the fault is met.
func (l *load) wait(what string) {
	l.t.Helper()
	begin, from := time.Now(), l.hits.Load()
	eventually(l.t, what, func() bool { return l.hits.Load() > from+100 && time.Since(begin) > 500*time.Millisecond })
}

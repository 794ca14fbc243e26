package crashtest_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/frontends/upload/reflectclient"
)

const (
	inFlight   = 100 // of downloads, and of uploads
	drainBlobs = 20  // that are downloaded

	// drainSlack is what an exit may take beyond the drain: cutting what is left, and closing the stores.
	drainSlack = 5 * time.Second
)

// drainCase is how a drain goes: transfers that stall for ever make it last as long as it may.
type drainCase struct {
	name    string
	timeout time.Duration
	stalled int // one of so many stalls; 0: none
	status  int // at exit
}

var drainCases = []drainCase{
	{name: "all move", timeout: time.Minute},
	{name: "some stall", timeout: 8 * time.Second, stalled: 10, status: 1},
}

// TestDrainOfUploads stops a reflector amidst uploads and downloads.
func TestDrainOfUploads(t *testing.T) {
	s := seed(t)
	for _, c := range drainCases {
		t.Run(c.name, func(t *testing.T) {
			mount := t.TempDir()
			d := newDrain(t, c, nodeSettings{command: "reflector", store: diskStore(mount), drain: c.timeout})
			b, full := blobs{seed: s, full: 0.3}, blobs{seed: s + 1, full: 1}
			up, err := reflectclient.Dial(t.Context(), d.node.receiver, reflectclient.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer up.Close() // it is idle when the drain begins
			var there []blob.Verified
			for i := range drainBlobs {
				v := full.verified(i)
				if r, err := up.Upload(t.Context(), v, blob.KindContent); err != nil || !r.Sent {
					t.Fatalf("%+v, %v", r, err)
				}
				there = append(there, v)
			}
			for i := range inFlight {
				d.download(i, there[i%len(there)], d.pause)
				d.begin(i, transfer{over: "upload", run: transfer.upload, blob: b.verified(i), pause: d.pause})
			}
			d.pause.await(t, 2*inFlight)
			d.run()

			d.restart()
			for _, v := range there {
				d.wantBlob(v)
			}
			d.wantUploads()
			t.Logf("checker: %s", d.node.stopClean(t, mount))
		})
	}
}

// TestDrainOfFills stops a blobcache amidst downloads, of which half wait for their fill.
func TestDrainOfFills(t *testing.T) {
	s := seed(t)
	for _, c := range drainCases {
		t.Run(c.name, func(t *testing.T) {
			mount := t.TempDir()
			o := newOrigin(t, blobs{seed: s, full: 1})
			store := fmt.Sprintf(`{caching: {name: crash, cache: %s, origin: {http: {endpoint: "%s/"}}}}`, diskStore(mount), o.URL)
			d := newDrain(t, c, nodeSettings{command: "blobcache", store: store, drain: c.timeout})
			buf := make([]byte, blob.MaxSize)
			var all []blob.Verified
			for i := range drainBlobs + inFlight/2 {
				v := o.blobs.verified(i)
				o.offer(i, v.Bytes())
				all = append(all, v)
				if i < drainBlobs {
					if _, err := d.node.get(t.Context(), v.Hash(), buf); err != nil {
						t.Fatal(err)
					}
				}
			}
			fills := newPause()
			d.pauses = append(d.pauses, fills)
			o.hold = func(number int) { fills.wait(d.stalls(number)) }
			for i := range inFlight {
				if i%2 == 0 {
					d.download(i/2, all[i/2%drainBlobs], d.pause)
				} else {
					d.download(i/2, all[drainBlobs+i/2], nil)
				}
			}
			d.pause.await(t, inFlight/2)
			fills.await(t, inFlight/2)
			d.run()

			o.hold = nil
			d.restart()
			for _, v := range all {
				d.wantBlob(v)
			}
			t.Logf("checker: %s", d.node.stopClean(t, mount))
		})
	}
}

// drain is a program that is to stop amidst transfers. Its methods are for the test's goroutine alone.
type drain struct {
	drainCase
	t        *testing.T
	settings nodeSettings
	node     *node
	pause    *pause
	pauses   []*pause // all of them
	running  sync.WaitGroup

	mu      sync.Mutex
	ended   map[string]int // transfers that ended well, by protocol
	cut     map[string]int
	uploads map[bool][]blob.Verified // with a receipt, and without
}

func newDrain(t *testing.T, c drainCase, s nodeSettings) *drain {
	t.Helper()
	d := &drain{
		drainCase: c, t: t, settings: s, pause: newPause(),
		ended: map[string]int{}, cut: map[string]int{}, uploads: map[bool][]blob.Verified{},
	}
	d.pauses = []*pause{d.pause}
	d.node = startNode(t, s)
	d.node.awaitReady(t)
	t.Cleanup(func() { // when the test gives up early
		d.node.Kill()
		for _, p := range d.pauses {
			p.release()
		}
		d.running.Wait()
	})
	return d
}

func (d *drain) stalls(i int) bool { return d.stalled > 0 && i%d.stalled == 0 }

// download begins one, over one of the three protocols.
func (d *drain) download(i int, v blob.Verified, p *pause) {
	all := [...]transfer{
		{over: "http", run: transfer.http},
		{over: "http3", run: transfer.http3},
		{over: "peer", run: transfer.peer},
	}
	x := all[i%len(all)]
	x.blob, x.pause = v, p
	d.begin(i, x)
}

// begin begins a transfer.
func (d *drain) begin(i int, x transfer) {
	x.stall = d.stalls(i) && x.pause != nil
	d.running.Go(func() {
		err := x.run(x, d.t.Context(), d.node)
		d.mu.Lock()
		defer d.mu.Unlock()
		if x.over == "upload" {
			d.uploads[err == nil] = append(d.uploads[err == nil], x.blob)
		}
		switch {
		case err == nil:
			d.ended[x.over]++
		case errors.Is(err, errWrong), errors.Is(err, errQuiet), errors.Is(err, errStatus), d.stalled == 0:
			d.t.Error(err)
		default:
			d.cut[x.over]++
		}
	})
}

// run sends SIGTERM, lets the transfers go on once nobody is let in any more, and judges how the program ends.
func (d *drain) run() {
	d.t.Helper()
	began := time.Now()
	if err := syscall.Kill(d.node.PID(), syscall.SIGTERM); err != nil {
		d.t.Fatal(err)
	}
	addrs := []string{d.node.http, d.node.peer}
	if d.settings.command == "reflector" {
		addrs = append(addrs, d.node.receiver)
	}
	for _, addr := range addrs {
		for closed := false; !closed; {
			c, err := net.Dial("tcp", addr)
			if closed = err != nil; !closed {
				c.Close()
				time.Sleep(5 * time.Millisecond)
			}
		}
	}
	select {
	case <-d.node.Done():
		d.t.Fatal(d.node.Died())
	default:
	}
	for _, p := range d.pauses {
		p.letGo()
	}
	select {
	case <-d.node.Done():
	case <-time.After(time.Until(began.Add(d.timeout + drainSlack))):
		d.t.Fatalf("the program runs %v after SIGTERM; drain_timeout is %v", time.Since(began), d.timeout)
	}
	took := time.Since(began)
	for _, p := range d.pauses {
		p.release()
	}
	d.running.Wait()
	d.t.Logf("ended %v after SIGTERM, with drain_timeout %v; whole: %v, cut: %v", took.Round(time.Millisecond), d.timeout, d.ended, d.cut)
	d.wantStatus()
}

// wantStatus judges the exit status, and that the log says why it is not 0.
func (d *drain) wantStatus() {
	d.t.Helper()
	died := d.node.Died()
	ok := strings.Contains(died.Error(), fmt.Sprintf("exit status %d", d.status))
	log, err := os.ReadFile(d.node.Log())
	if err != nil {
		d.t.Fatal(err)
	}
	said := strings.Contains(string(log), "cut after "+d.timeout.String())
	if !ok || said != (d.status != 0) {
		d.t.Errorf("want exit status %d; it says that it cut some: %v\n%v", d.status, said, died)
	}
	for _, bad := range []string{"panic", "level=ERROR"} {
		if strings.Contains(string(log), bad) {
			d.t.Errorf("there is %q in the log: %v", bad, died)
		}
	}
}

// restart starts the program again, on the same stores.
func (d *drain) restart() {
	d.t.Helper()
	d.node = startNode(d.t, d.settings)
	d.node.awaitReady(d.t)
}

func (d *drain) wantBlob(v blob.Verified) {
	d.t.Helper()
	if _, err := d.node.get(d.t.Context(), v.Hash(), make([]byte, blob.MaxSize)); err != nil {
		d.t.Errorf("a blob that must be there: %v", err)
	}
}

// wantUploads looks at the blobs that were uploaded: those with a receipt are there, the others are or are not.
func (d *drain) wantUploads() {
	d.t.Helper()
	for _, v := range d.uploads[true] {
		d.wantBlob(v)
	}
	whole, missing := 0, 0
	for _, v := range d.uploads[false] {
		switch _, err := d.node.get(d.t.Context(), v.Hash(), make([]byte, blob.MaxSize)); {
		case err == nil:
			whole++
		case errors.Is(err, errMissing):
			missing++
		default:
			d.t.Error(err)
		}
	}
	d.t.Logf("%d receipts; of %d uploads without one %d are there and %d are not", len(d.uploads[true]), len(d.uploads[false]), whole, missing)
}

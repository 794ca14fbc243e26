package benchmarks

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	peerd "github.com/OdyseeTeam/prism/frontends/peer"
	"github.com/OdyseeTeam/prism/protocol/peer"
	"github.com/OdyseeTeam/prism/stores/disk"
)

// BenchmarkPeerHit2MiB compares hits over the TCP peer protocol with a bare HTTP server: full blobs, from the page cache,
// on 8 connections, in CPU seconds per GB. One iteration asks each server for the same 2 GB. Bar: 1.15 × bare.
func BenchmarkPeerHit2MiB(b *testing.B) {
	d := makeData(b, 64, blob.MaxSize)
	t := turns{b: b, data: d, requests: 1000, conns: 8}
	t.add("peer", startPeer(b, d))
	t.add("bare", startBare(b, d))
	t.run()
	ours, bare := t.perGB("peer"), t.perGB("bare")
	report(b, "peer/bare", median(each(ours, bare, func(x, y float64) float64 { return x / y })), atMost(1.15))
	report(b, "peer-cpu-s/GB", median(ours), bar{})
	report(b, "bare-cpu-s/GB", median(bare), bar{})
}

// startPeer starts the peer frontend over a mount of segments that holds the blobs.
func startPeer(tb testing.TB, d *data) *server {
	tb.Helper()
	p, ready := port(tb), port(tb)
	cmd := asRole("peer", d.list, tb.TempDir(), fmt.Sprintf("127.0.0.1:%d", p), fmt.Sprintf("127.0.0.1:%d", ready))
	s := start(tb, "peer", cmd, ready, "/readyz")
	s.addr, s.ask = fmt.Sprintf("127.0.0.1:%d", p), (*client).getPeer
	return s
}

// servePeer puts the blobs of a list into a new mount and serves them. It says on another address when it is ready.
func servePeer(list, mount, addr, ready string) error {
	ctx := context.Background()
	store, err := disk.Open(ctx, disk.Options{MountPoint: mount, Mode: disk.ModeSegments, MaxSize: 4 << 30})
	if err != nil {
		return err
	}
	paths, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	for _, path := range strings.Fields(string(paths)) {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		v, err := blob.Verify(blob.Sum(data), data)
		if err != nil {
			return err
		}
		if err := store.Put(ctx, v, blob.KindContent); err != nil {
			return err
		}
	}
	srv, err := peerd.New(peerd.Options{Store: store})
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() { ended <- srv.Serve(ctx, ln) }()
	go func() {
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
		s := &http.Server{Addr: ready, Handler: h, ReadHeaderTimeout: 10 * time.Second}
		ended <- s.ListenAndServe()
	}()
	return <-ended
}

// getPeer asks for one blob over the TCP peer protocol, as the SDK does.
func (c *client) getPeer(hash string) (int, error) {
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return 0, err
	}
	if _, err := fmt.Fprintf(c, `{"requested_blobs": [%q], "lbrycrd_address": true, "blob_data_payment_rate": 0.0, "requested_blob": %[1]q}`,
		hash); err != nil {
		return 0, err
	}
	have, end := 0, -1
	for end < 0 {
		n, err := c.Read(c.head[have:])
		if err != nil {
			return 0, err
		}
		have += n
		// The object about the blob is the last thing in the answer.
		if at := bytes.Index(c.head[:have], []byte("}}")); at >= 0 {
			end = at + 2
		}
	}
	res, err := peer.ParseResponse(c.head[:end])
	if err != nil || res.Incoming == nil || res.Incoming.Error != "" {
		return 0, fmt.Errorf("answered %q: %w", c.head[:end], err)
	}
	size := int(res.Incoming.Length)
	return size, c.drop(size - (have - end))
}

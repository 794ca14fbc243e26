package main_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/check/checktest"
	"github.com/OdyseeTeam/prism/frontends/upload/reflectclient"
	"github.com/OdyseeTeam/prism/internal/process"
	"github.com/OdyseeTeam/prism/internal/testbed"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/http3"
	"github.com/OdyseeTeam/prism/stores/peer"
	"github.com/OdyseeTeam/prism/stores/upstream"
)

// node is a running prism with all its servers.
type node struct {
	*process.Child
	http, http3, peer, take, metrics int // ports; take is a reflector's, for uploads
}

// servers is the configuration of a node's servers.
const servers = `
servers:
  http: {port: %d, address: 127.0.0.1, edge_token: sesame}
  http3: {port: %d, address: 127.0.0.1}
  peer: {port: %d, address: 127.0.0.1}
store:
`

// noLists is a configuration of lists that asks nobody.
const noLists = "lists: {blocklist: {enabled: false}, protected: {enabled: false}}"

// startNode starts a command with all servers over a store, and waits until it is ready.
func startNode(t *testing.T, command, store string) *node {
	t.Helper()
	return startProgram(t, command, noLists+servers, store)
}

// startListed is startNode with lists. extra are more arguments, and variables of the environment as NAME=VALUE.
func startListed(t *testing.T, command, lists, store string, extra ...string) *node {
	t.Helper()
	return startProgram(t, command, lists+servers, store, extra...)
}

// startServers is startNode with other settings of the servers, in which the three ports are still to be filled in.
func startServers(t *testing.T, command, servers, store string) *node {
	t.Helper()
	return startProgram(t, command, noLists+servers, store)
}

// startProgram is all of them: settings is what stands before the store.
func startProgram(t *testing.T, command, settings, store string, extra ...string) *node {
	t.Helper()
	p := testbed.Ports(t, 5)
	n := &node{http: p[0], http3: p[1], peer: p[2], take: p[3], metrics: p[4]}
	dir := t.TempDir()
	doc := fmt.Sprintf(settings, n.http, n.http3, n.peer) + store
	checktest.AfterConfigured(t, doc)
	if err := os.WriteFile(filepath.Join(dir, command+".yaml"), []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{command, "--conf-dir", dir, "--metrics-port", strconv.Itoa(p[4])}
	if command == "reflector" {
		args = append(args, "--receiver-port", strconv.Itoa(n.take))
	}
	env := os.Environ()
	for _, x := range extra {
		if strings.Contains(x, "=") {
			env = append(env, x)
		} else {
			args = append(args, x)
		}
	}
	cmd := exec.Command(binary(t), args...)
	cmd.Env = env
	var err error
	if n.Child, err = process.Start(command, filepath.Join(dir, "log"), cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Kill)
	if err := n.WaitReady(t.Context(), fmt.Sprintf("http://127.0.0.1:%d/readyz", n.http)); err != nil {
		t.Fatal(err)
	}
	return n
}

// origins are the ways to fill from a node, as configuration.
func (n *node) origins() map[string]string {
	return map[string]string{
		"http":     fmt.Sprintf("{http: {name: o, endpoint: 'http://127.0.0.1:%d/'}}", n.http),
		"http3":    fmt.Sprintf("{http3: {name: o, address: '127.0.0.1:%d'}}", n.http3),
		"peer":     fmt.Sprintf("{peer: {name: o, address: '127.0.0.1:%d'}}", n.peer),
		"upstream": fmt.Sprintf("{upstream: {name: o, upstream: 'http://127.0.0.1:%d'}}", n.http),
	}
}

// clients are the ways to ask a node.
func (n *node) clients(t *testing.T) map[string]stores.Store {
	t.Helper()
	h, err := upstream.New(upstream.Options{Name: "c", Upstream: fmt.Sprintf("http://127.0.0.1:%d", n.http)})
	if err != nil {
		t.Fatal(err)
	}
	h3, err := http3.New(http3.Options{Name: "c", Address: fmt.Sprintf("127.0.0.1:%d", n.http3)})
	if err != nil {
		t.Fatal(err)
	}
	p, err := peer.New(peer.Options{Name: "c", Address: fmt.Sprintf("127.0.0.1:%d", n.peer)})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]stores.Store{"upstream": h, "http3": h3, "peer": p}
	t.Cleanup(func() {
		for name, s := range all {
			if err := s.Close(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	return all
}

// uploadBlobs makes blobs and sends them to a reflector.
func uploadBlobs(t *testing.T, n *node, random *rand.ChaCha8, sizes ...int) []blob.Verified {
	t.Helper()
	c, err := reflectclient.Dial(t.Context(), fmt.Sprintf("127.0.0.1:%d", n.take), reflectclient.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var all []blob.Verified
	for _, size := range sizes {
		data := make([]byte, size)
		_, _ = random.Read(data)
		v, err := blob.Verify(blob.Sum(data), data)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.Upload(t.Context(), v, blob.KindContent); err != nil || !got.Sent {
			t.Fatalf("upload: %+v, %v", got, err)
		}
		all = append(all, v)
	}
	return all
}

// wantBlob gets a blob, compares its bytes, and gives the names of its trace.
func wantBlob(ctx context.Context, s stores.Store, v blob.Verified) ([]string, error) {
	ctx, trace := blob.WithTrace(ctx)
	h, err := s.Get(ctx, v.Hash())
	if err != nil {
		return nil, err
	}
	defer h.Release()
	var got bytes.Buffer
	if _, err := h.WriteTo(&got); err != nil {
		return nil, err
	}
	if !bytes.Equal(got.Bytes(), v.Bytes()) {
		return nil, fmt.Errorf("%d bytes that are not the blob's %d", got.Len(), v.Size())
	}
	var names []string
	for _, hop := range trace.Hops() {
		names = append(names, hop.Origin)
	}
	return names, nil
}

// TestChain asks a blobcache over every protocol that fills over every protocol from a reflector over an S3 server. The
// way that a blob came is told as far as the protocols can.
func TestChain(t *testing.T) {
	s3 := testbed.S3(t)
	far := startNode(t, "reflector", fmt.Sprintf(`
  proxied-s3:
    name: p
    writer: {s3: {name: b, aws_id: %s, aws_secret: %s, region: %s, bucket: %s, endpoint: '%s', acl: none}}
`, s3.AccessKey, s3.SecretKey, s3.Region, s3.Bucket(), s3.Endpoint))
	random := rand.NewChaCha8([32]byte{7})
	for over, origin := range far.origins() {
		near := startNode(t, "blobcache", fmt.Sprintf(`
  caching:
    name: edge
    cache: {disk: {name: d, mount_point: %s, max_size: 256MB, segment_size: 16MB}}
    origin: %s
`, t.TempDir(), origin))
		for with, client := range near.clients(t) {
			t.Run(with+" over "+over, func(t *testing.T) {
				blobs := uploadBlobs(t, far, random, 1, 5000, 1<<20, blob.MaxSize)
				// What the reflector's stores say; the peer protocol has no place for it.
				way := []string{"s3-b", "proxied-s3-p"}
				if over == "peer" {
					way = nil
				}
				miss := slices.Concat([]string{"disk-d"}, way, []string{over + "-o", "caching"})
				hit := []string{"disk-d", "caching"}
				if with == "peer" {
					miss, hit = nil, nil
				}
				for round, want := range [][]string{miss, hit} {
					want = append(slices.Clone(want), with+"-c")
					var wg sync.WaitGroup
					for _, v := range blobs {
						wg.Go(func() {
							got, err := wantBlob(t.Context(), client, v)
							if err != nil {
								t.Errorf("round %d, %d bytes: %v", round, v.Size(), err)
							} else if !slices.Equal(got, want) {
								t.Errorf("round %d: the blob came by %s, want %s", round, strings.Join(got, ", "), strings.Join(want, ", "))
							}
						})
					}
					wg.Wait()
				}
			})
		}
	}
}

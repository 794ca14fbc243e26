package crashtest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/internal/testbed"
)

// node is a program with all its servers.
type node struct {
	*program
	http, http3, peer string
	receiver          string // of a reflector, for uploads
}

// nodeSettings say which command to run, over which store.
type nodeSettings struct {
	command string // reflector or blobcache
	store   string // the value of `store`, as YAML
	drain   time.Duration
}

// diskStore is a store that keeps receipts: far larger than what these tests put in, so that nothing is evicted.
func diskStore(mount string) string {
	return fmt.Sprintf("{disk: {name: crash, mount_point: %q, max_size: 16GB, segment_size: 8MB, min_free: 1MB, sync: always}}", mount)
}

// s3Store is a store over a bucket of its own.
func s3Store(s *testbed.S3Server) string {
	return fmt.Sprintf("{proxied-s3: {name: crash, writer: {s3: {name: crash, aws_id: %s, aws_secret: %s, region: %s, bucket: %s, endpoint: %q, acl: none}}}}",
		s.AccessKey, s.SecretKey, s.Region, s.Bucket(), s.Endpoint)
}

// startNode starts a node and does not wait for anything.
func startNode(t *testing.T, s nodeSettings) *node {
	t.Helper()
	ports := testbed.Ports(t, 5)
	dir := t.TempDir()
	doc := fmt.Sprintf(`
drain_timeout: %v
lists: {blocklist: {enabled: false}, protected: {enabled: false}}
servers:
  http: {port: %d, address: 127.0.0.1}
  http3: {port: %d, address: 127.0.0.1}
  peer: {port: %d, address: 127.0.0.1}
store: %s
`, s.drain, ports[0], ports[1], ports[2], s.store)
	if err := os.WriteFile(filepath.Join(dir, s.command+".yaml"), []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	n := &node{http: at(0), http3: at(1), peer: at(2), receiver: at(3)}
	args := []string{s.command, "--conf-dir", dir}
	if s.command == "reflector" {
		args = append(args, "--receiver-port", strconv.Itoa(ports[3]))
	}
	n.program = launch(t, dir, ports[0], ports[4], args...)
	n.url += "blob?hash="
	return n
}

// awaitReady waits until the node answers, and says how long after its start that was.
func (n *node) awaitReady(t *testing.T) time.Duration {
	t.Helper()
	if err := n.WaitReady(t.Context(), "http://"+n.http+"/readyz"); err != nil {
		t.Fatal(err)
	}
	return time.Since(n.began)
}

package benchmarks

import (
	"context"
	"crypto/sha512"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/frontends/reflector"
	"github.com/OdyseeTeam/prism/frontends/upload/reflectclient"
	"github.com/OdyseeTeam/prism/internal/process"
	"github.com/OdyseeTeam/prism/internal/testbed"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/disk"
	"github.com/OdyseeTeam/prism/stores/s3"
)

const (
	ingestBlobs = 512 // a turn
	ingestConns = 8
)

// BenchmarkIngest uploads full blobs to the upload frontend over a mount of segments, on 8 connections. What the server
// does beyond SHA-384 of the same bytes, under `interval`: bar 0.5 CPU s/GB. The rate under `always`, when a receipt
// says that the blob is durable, beside raw writers as in BenchmarkPut: bar 0.8 ×. Where the disk is faster than the
// processors hash, no server reaches that; raw writers that hash each blob first say how much of it is the server, and bare
// receivers of the same client what is in reach of any. Over a bucket of a gateway on this machine, what the server alone
// does beyond SHA-384: bar 1.3 CPU s/GB. SHA-384 is always that of crypto/sha512, one blob at a time; what the same bytes
// take on full lanes stands beside it.
func BenchmarkIngest(b *testing.B) {
	blobs := newSupply(blob.MaxSize).take(ingestBlobs)
	gb := float64(total(blobs)) / 1e9
	b.Run("interval", func(b *testing.B) {
		var all, hash, lanes, rest, rate []float64
		for b.Loop() {
			took, used := ingestDisk(b, blobs, engine.SyncInterval)
			hashed := hashingOf(b, blobs)
			all = append(all, used.Seconds()/gb)
			hash = append(hash, hashed.Seconds()/gb)
			lanes = append(lanes, lanesOfVerified(blobs).Seconds()/gb)
			rest = append(rest, (used-hashed).Seconds()/gb)
			rate = append(rate, gb/took.Seconds())
		}
		report(b, "less-hash-cpu-s/GB", median(rest), atMost(0.5))
		report(b, "cpu-s/GB", median(all), bar{})
		report(b, "sha384-cpu-s/GB", median(hash), bar{})
		report(b, "sha384-on-lanes-cpu-s/GB", median(lanes), bar{})
		report(b, "GB/s", median(rate), bar{})
	})
	b.Run("always", func(b *testing.B) {
		var ratio, hashed, rate []float64
		bare := map[string][]float64{}
		for b.Loop() {
			took, _ := ingestDisk(b, blobs, engine.SyncAlways)
			raw := putRaw(b, blobs, engine.SyncAlways)
			for _, way := range bareWays {
				bare[way] = append(bare[way], raw.wall.Seconds()/ingestBare(b, blobs, way).Seconds())
			}
			ratio = append(ratio, raw.wall.Seconds()/took.Seconds())
			hashing := putRawAfter(b, blobs, engine.SyncAlways, func(data []byte) { sha512.Sum384(data) })
			hashed = append(hashed, hashing.wall.Seconds()/took.Seconds())
			rate = append(rate, gb/took.Seconds())
		}
		report(b, "uploads/raw", median(ratio), atLeast(0.8))
		for _, way := range bareWays {
			report(b, "bare-"+way+"/raw", median(bare[way]), bar{})
		}
		report(b, "uploads/raw-that-hash", median(hashed), bar{})
		report(b, "GB/s", median(rate), bar{})
	})
	b.Run("s3", func(b *testing.B) {
		gateway := testbed.S3(b)
		var all, rest, rate []float64
		for b.Loop() {
			took, used := ingest(b, blobs, "reflector", "s3", gateway.Endpoint, gateway.Region, gateway.AccessKey, gateway.SecretKey, gateway.Bucket())
			all = append(all, used.Seconds()/gb)
			rest = append(rest, (used-hashingOf(b, blobs)).Seconds()/gb)
			rate = append(rate, gb/took.Seconds())
		}
		report(b, "less-hash-cpu-s/GB", median(rest), atMost(1.3))
		report(b, "cpu-s/GB", median(all), bar{})
		report(b, "GB/s", median(rate), bar{})
	})
	b.Run("db_backed", func(b *testing.B) { ingestCatalogued(b, blobs) })
}

// ingestCatalogued compares uploads into a bucket with those into the same under a catalogue on MariaDB: processor time
// of the server. Bar: 1.1 ×.
func ingestCatalogued(b *testing.B, blobs []blob.Verified) {
	gateway, database := testbed.S3(b), testbed.MariaDB(b, testbed.MariaDBOptions{})
	var ratio, plain, slower []float64
	for b.Loop() {
		bucket := func() []string {
			return []string{"s3", gateway.Endpoint, gateway.Region, gateway.AccessKey, gateway.SecretKey, gateway.Bucket()}
		}
		bareTook, bare := ingest(b, blobs, "reflector", bucket()...)
		took, used := ingest(b, blobs, "reflector", append(bucket(), strconv.Itoa(database.Port), database.User, database.Password, database.Database(b))...)
		ratio = append(ratio, used.Seconds()/bare.Seconds())
		plain = append(plain, bare.Seconds()/float64(total(blobs))*1e9)
		slower = append(slower, took.Seconds()/bareTook.Seconds())
	}
	report(b, "cpu/without", median(ratio), atMost(1.1))
	report(b, "time/without", median(slower), bar{})
	report(b, "without-cpu-s/GB", median(plain), bar{})
}

// ingestDisk is ingest over an empty mount of segments.
func ingestDisk(b *testing.B, blobs []blob.Verified, policy engine.Sync) (took, used time.Duration) {
	dir := newFolder(b)
	defer os.RemoveAll(dir)
	return ingest(b, blobs, "reflector", "disk", dir, policy.String())
}

// ingest uploads the blobs to a server, this binary in a role with its arguments: the time until the last receipt, and
// the server's processor time until it has stopped, with all of it written.
func ingest(b *testing.B, blobs []blob.Verified, role string, args ...string) (took, used time.Duration) {
	addr := fmt.Sprintf("127.0.0.1:%d", port(b))
	s, err := process.Start("reflector", filepath.Join(b.TempDir(), "log"), asRole(role, append([]string{addr}, args...)...))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Kill()
	up := &server{Child: s, addr: addr}
	clients := make([]*reflectclient.Client, ingestConns)
	for i := range clients {
		clients[i] = up.uploader(b)
		defer clients[i].Close()
	}
	warmUp := newSupply(blob.MaxSize)
	warmUp.next.Store(1 << 40) // other blobs, so that no memory of the process is new
	upload(b, clients, warmUp.from(64))
	settle()
	before := cpu(b, up)
	for some := range slices.Chunk(blobs, 256) { // as in BenchmarkFill
		warmMemory(b, total(some)*5/4)
		began := time.Now()
		upload(b, clients, some)
		took += time.Since(began)
	}
	return took, cpuAtStop(b, up) - before
}

// upload sends the blobs, each on the connection that is free next.
func upload(b *testing.B, clients []*reflectclient.Client, blobs []blob.Verified) {
	b.Helper()
	var next atomic.Int64
	parallel(len(clients), len(clients), func(i int) {
		for k := int(next.Add(1)) - 1; k < len(blobs); k = int(next.Add(1)) - 1 {
			if r, err := clients[i].Upload(b.Context(), blobs[k], blob.KindContent); err != nil || !r.Sent {
				b.Errorf("upload: %+v, %v", r, err)
				return
			}
		}
	})
	if b.Failed() {
		b.FailNow()
	}
}

// uploader connects to a server that may still be starting.
func (s *server) uploader(b *testing.B) *reflectclient.Client {
	b.Helper()
	for {
		c, err := reflectclient.Dial(b.Context(), s.addr, reflectclient.Options{})
		if err == nil {
			return c
		}
		select {
		case <-s.Done():
			b.Fatal(s.Died())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// from is the next n blobs, each in memory of its own.
func (s *supply) from(n int) []blob.Verified {
	out := make([]blob.Verified, n)
	for i := range out {
		out[i] = s.fill(make([]byte, len(s.base)))
	}
	return out
}

// hashingOf is the processor time of SHA-384 over blobs in memory.
func hashingOf(b *testing.B, blobs []blob.Verified) time.Duration {
	b.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := threadCPU(b)
	for _, v := range blobs {
		sha512.Sum384(v.Bytes())
	}
	return threadCPU(b) - before
}

// serveUploads is the upload frontend over a store, until SIGTERM.
func serveUploads(addr string, args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	store, err := uploadStore(ctx, args)
	if err != nil {
		return err
	}
	defer store.Close()
	s, err := reflector.New(reflector.Options{Store: store})
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return s.Serve(ctx, ln)
}

// uploadStore opens "disk", a folder and a sync policy, or "s3" and what its options say, under a catalogue if more follows.
func uploadStore(ctx context.Context, args []string) (stores.Store, error) {
	if args[0] == "disk" {
		return disk.Open(ctx, disk.Options{MountPoint: args[1], Mode: disk.ModeSegments, SegmentSize: putSegment, Sync: args[2]})
	}
	bucket, err := s3.New(s3.Options{ACL: s3.ACLNone, Endpoint: args[1], Region: args[2], AccessKey: args[3], SecretKey: args[4], Bucket: args[5]})
	if err != nil || len(args) == 6 {
		return bucket, err
	}
	number, err := strconv.Atoi(args[6])
	if err != nil {
		return nil, err
	}
	return catalogued(bucket, number, args[7:])
}

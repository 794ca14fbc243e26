package benchmarks

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
)

const (
	coldLimit   = 1 << 30       // what the readers may keep in memory
	coldData    = 4 * coldLimit // what they read
	coldWarm    = 2             // seconds that are not counted: the memory under the limit fills up
	coldSeconds = 4
)

// BenchmarkCold compares hits on blobs that are mostly not in memory with plain random reads of the same size by fio:
// as many at once, over as much data, under the same memory limit, each in a process of its own. A hit is a Get and a
// SendTo a TCP connection that throws away. Bar: 0.85 × fio.
func BenchmarkCold(b *testing.B) {
	fio, err := exec.LookPath("fio")
	if err != nil {
		b.Fatal("fio is needed to compare with")
	}
	bed := makeCold(b)
	bed.fio = fio
	for _, depth := range []int{1, 4, 8} {
		b.Run(fmt.Sprintf("depth=%d", depth), func(b *testing.B) { bed.run(b, depth) })
	}
}

// coldBed is a store and a file of the same size on one file system.
type coldBed struct {
	group                memoryGroup
	fio, mount, list, in string
}

func makeCold(b *testing.B) *coldBed {
	dir := workDir(b)
	bed := &coldBed{
		group: limitMemory(b, coldLimit),
		mount: filepath.Join(dir, "mount"), list: filepath.Join(dir, "list"), in: filepath.Join(dir, "fio"),
	}
	if err := os.Mkdir(bed.mount, 0o700); err != nil {
		b.Fatal(err)
	}
	e := openEngine(b, engine.Options{Dir: bed.mount})
	s := newSupply(blob.MaxSize)
	var mu sync.Mutex
	var list strings.Builder
	parallel(4, coldData/blob.MaxSize, func(int) {
		v := s.fill(make([]byte, blob.MaxSize))
		put(b, e, v)
		mu.Lock()
		fmt.Fprintln(&list, v.Hash())
		mu.Unlock()
	})
	if err := e.Close(); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(bed.list, []byte(list.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	writeFile(b, bed.in, coldData)
	return bed
}

// writeFile writes a file of n random bytes in pieces of a blob's size.
func writeFile(b *testing.B, path string, n int) {
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	s := newSupply(blob.MaxSize)
	for at := 0; at < n; at += blob.MaxSize {
		if _, err := f.Write(s.base); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
}

func (bed *coldBed) run(b *testing.B, depth int) {
	var cold, plain, direct []coldResult
	for b.Loop() {
		cold = append(cold, bed.engine(b, depth))
		plain = append(plain, bed.reads(b, depth, false))
		direct = append(direct, bed.reads(b, depth, true))
	}
	rate := func(r coldResult) float64 { return r.Bytes / r.Seconds / 1e9 }
	over := func(x, y []coldResult) float64 {
		return median(each(mapped(x, rate), mapped(y, rate), func(x, y float64) float64 { return x / y }))
	}
	perGB := func(r coldResult) float64 { return r.CPU / r.Bytes * 1e9 }
	report(b, "cold/fio", over(cold, plain), atLeast(0.85))
	report(b, "cold/fio-direct", over(cold, direct), bar{})
	report(b, "cold-cpu-s/GB", median(mapped(cold, perGB)), bar{})
	report(b, "fio-cpu-s/GB", median(mapped(plain, perGB)), bar{})
	report(b, "allocs/op", median(mapped(cold, func(r coldResult) float64 { return r.Mallocs / r.Bytes * blob.MaxSize })), bar{})
	report(b, "cold-GB/s", median(mapped(cold, rate)), bar{})
	report(b, "fio-GB/s", median(mapped(plain, rate)), bar{})
	report(b, "fio-direct-GB/s", median(mapped(direct, rate)), bar{})
}

func mapped[T any](in []T, f func(T) float64) []float64 {
	out := make([]float64, len(in))
	for i, x := range in {
		out[i] = f(x)
	}
	return out
}

// coldResult is what one run did.
type coldResult struct{ Bytes, Seconds, CPU, Mallocs float64 }

// engine reads blobs at random in a process under the limit.
func (bed *coldBed) engine(b *testing.B, depth int) (r coldResult) {
	dropCaches(b)
	cmd := asRole("in-group", bed.group.procs, os.Args[0], bed.mount, bed.list, strconv.Itoa(depth))
	cmd.Env = append(cmd.Env, nextRoleEnv+"=cold")
	if err := json.Unmarshal(output(b, cmd), &r); err != nil {
		b.Fatal(err)
	}
	return r
}

// reads has fio read its file at random under the limit.
func (bed *coldBed) reads(b *testing.B, depth int, direct bool) coldResult {
	dropCaches(b)
	cmd := asRole("in-group", bed.group.procs, bed.fio, "--name=cold", "--filename="+bed.in, "--rw=randread", "--bs=2m",
		"--ioengine=psync", "--thread", "--group_reporting", "--norandommap", "--invalidate=0", "--time_based",
		"--output-format=json", fmt.Sprintf("--ramp_time=%d", coldWarm), fmt.Sprintf("--runtime=%d", coldSeconds), fmt.Sprintf("--numjobs=%d", depth),
		fmt.Sprintf("--direct=%d", map[bool]int{true: 1}[direct]))
	var out struct {
		Jobs []struct {
			Read struct {
				Bytes   float64 `json:"io_bytes"`
				Runtime float64 `json:"runtime"` // ms
			}
			User   float64 `json:"usr_cpu"` // % of all threads' time
			System float64 `json:"sys_cpu"`
		}
	}
	if err := json.Unmarshal(output(b, cmd), &out); err != nil || len(out.Jobs) != 1 {
		b.Fatal(err, len(out.Jobs), "jobs")
	}
	j := out.Jobs[0]
	seconds := j.Read.Runtime / 1000
	return coldResult{Bytes: j.Read.Bytes, Seconds: seconds, CPU: (j.User + j.System) / 100 * seconds * float64(depth)}
}

func output(b *testing.B, cmd *exec.Cmd) []byte {
	b.Helper()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("%v: %v\n%s%s", cmd.Args, err, out, errs.Bytes())
	}
	return out
}

// coldReads is the process that BenchmarkCold measures: it opens the mount and sends blobs picked at random for some
// seconds.
func coldReads(mount, list, depth string) error {
	names, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	var hashes []blob.Hash
	for name := range strings.FieldsSeq(string(names)) {
		h, err := blob.ParseHash(name)
		if err != nil {
			return err
		}
		hashes = append(hashes, h)
	}
	n, err := strconv.Atoi(depth)
	if err != nil {
		return err
	}
	e, err := engine.Open(context.Background(), engine.Options{Dir: mount, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer e.Close()
	if _, err := sendAtRandom(e, hashes, n, coldWarm); err != nil {
		return err
	}
	r, err := sendAtRandom(e, hashes, n, coldSeconds)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// sendAtRandom keeps n hits under way for some seconds.
func sendAtRandom(e *engine.Engine, hashes []blob.Hash, n int, seconds time.Duration) (coldResult, error) {
	var sent atomic.Int64
	errs := make([]error, n)
	c := measure(func() {
		end := time.Now().Add(seconds * time.Second)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				to, done, err := connectSink()
				if err != nil {
					errs[i] = err
					return
				}
				defer done()
				pick := rand.New(rand.NewPCG(uint64(i), uint64(seconds)))
				for time.Now().Before(end) && errs[i] == nil {
					errs[i] = send(e, hashes[pick.IntN(len(hashes))], to)
					sent.Add(blob.MaxSize)
				}
			})
		}
		wg.Wait()
	})
	for _, err := range errs {
		if err != nil {
			return coldResult{}, err
		}
	}
	return coldResult{float64(sent.Load()), c.wall.Seconds(), c.cpu.Seconds(), float64(c.mallocs)}, nil
}

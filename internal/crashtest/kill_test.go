package crashtest_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
)

// What TestKill runs: a cap that the blobs fill twice, and pauses between kills that are far shorter than it takes to
// replace what the cap holds.
const (
	killCap     = 256 << 20
	killSegment = 8 << 20
	killBlobs   = 1200
	clients     = 6

	// newestBytes of what the cache took last is warm after a restart: it is much less than the cap, so it was not evicted.
	newestBytes = killCap / 4
	// fillRate bounds fills in bytes a second, so that newestBytes reach back over several kills. In the last moments
	// before a kill nothing bounds them, so that it meets many puts.
	fillRate = 8 << 20
	burst    = 50 * time.Millisecond

	// settled is the age from which a blob that was served must outlive a kill at every sync policy.
	settled = 2 * time.Second

	// leastWarm is the share of them that must be: fills that passed through are not there.
	leastWarm = 0.95

	shortestLife = 50 * time.Millisecond
	longestLife  = 1500 * time.Millisecond
	longestOpen  = 100 * time.Millisecond // of those that are killed before they answer
	slowestStart = 5 * time.Second
)

// TestKill kills the program under load, at random moments, and looks at what the next start finds.
func TestKill(t *testing.T) {
	s := seed(t)
	k := newKiller(t, s)
	space := startWatch(t, k.mount, false)
	for range 3 {
		k.killWhileOpening(k.policy(0)) // the folder is not even a mount yet
	}
	k.fillUp()
	for n, life := range lives(k.rng, *kills) {
		k.life(n, life)
		if k.rng.IntN(4) == 0 {
			k.killWhileOpening(k.policy(n))
		}
	}
	p := k.restart(k.policy(*kills))
	k.count(p)
	p.givenBack(t)
	report := p.stopClean(t, k.mount)
	space.check(t, killCap)
	k.report(report)
}

// lives is how long the program runs before each kill: all parts of the range come, in random order.
func lives(rng *rand.Rand, n int) []time.Duration {
	out := make([]time.Duration, n)
	part := (longestLife - shortestLife) / time.Duration(max(1, n))
	for i := range out {
		out[i] = shortestLife + part*time.Duration(i) + rand.N(part)
	}
	rng.Shuffle(n, func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// killer kills one blobcache after the other on one folder. Its methods are for the test's goroutine alone.
type killer struct {
	t      *testing.T
	rng    *rand.Rand
	mount  string
	origin *origin
	hashes []blob.Hash
	killed time.Time // when the last kill was

	answers, wrong, cut atomic.Int64

	underLoad    map[string]int // kills, by sync policy
	whileOpening int
	starts       []time.Duration
	old, young   warmth
	counted      map[string]float64 // what the counters of all lives add up to
}

// warmth counts blobs that should be there after a restart.
type warmth struct{ hits, of int }

func (w warmth) share() float64 { return float64(w.hits) / float64(max(1, w.of)) }

func (w warmth) String() string {
	return fmt.Sprintf("%d of %d (%.2f %%)", w.hits, w.of, 100*w.share())
}

func newKiller(t *testing.T, seed uint64) *killer {
	t.Helper()
	k := &killer{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), mount: t.TempDir(),
		underLoad: map[string]int{}, counted: map[string]float64{},
	}
	k.origin = newOrigin(t, blobs{seed: seed, full: 0.1})
	buf := make([]byte, blob.MaxSize)
	distinct := map[blob.Hash]struct{}{} // there are only 256 blobs of one byte
	var total int64
	for i := range killBlobs {
		data := k.origin.blobs.bytes(i, buf)
		total += int64(len(data))
		distinct[k.origin.offer(i, data)] = struct{}{}
	}
	k.hashes = slices.SortedFunc(maps.Keys(distinct), func(a, b blob.Hash) int { return slices.Compare(a[:], b[:]) })
	if total < 3*killCap/2 {
		t.Fatalf("%d bytes of blobs: too few to evict anything from %d", total, killCap)
	}
	return k
}

// policy is the sync policy of the nth life. The folder stays the same.
func (k *killer) policy(n int) string { return [...]string{"interval", "always", "never"}[n%3] }

func (k *killer) settings(sync string) settings {
	return settings{mount: k.mount, sync: sync, maxSize: killCap, segment: killSegment, origin: k.origin}
}

// killWhileOpening starts a program and kills it before, while or just after it opens the folder.
func (k *killer) killWhileOpening(sync string) {
	p := start(k.t, k.settings(sync))
	select {
	case <-p.Done():
		k.t.Fatal(p.Died())
	case <-time.After(time.Duration(k.rng.Int64N(int64(longestOpen)))):
	}
	k.killed = time.Now()
	p.Kill()
	k.whileOpening++
}

// fillUp fills the cache once, so that everything after it evicts.
func (k *killer) fillUp() {
	p := k.restart(k.policy(0))
	var over atomic.Bool
	k.ask(p, &over, func(rng *rand.Rand) (blob.Hash, bool) {
		return k.hashes[rng.IntN(len(k.hashes))], k.origin.out.Load() < killCap*5/4
	})
	k.count(p)
	if k.counted["prism_disk_evictions_total"] == 0 {
		k.t.Error("nothing was evicted: the test is too small for its cap")
	}
	p.givenBack(k.t)
	k.killed = time.Now()
	p.Kill()
}

// life starts the program, looks at what is warm, has clients ask, and kills it amidst that.
func (k *killer) life(n int, length time.Duration) {
	sync := k.policy(n)
	p := k.restart(sync)
	known := k.origin.newest(newestBytes)
	begun, sent, answers := time.Now(), k.origin.out.Load(), k.answers.Load()
	var over atomic.Bool
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		k.ask(p, &over, func(rng *rand.Rand) (blob.Hash, bool) {
			age := time.Since(begun)
			allowed := int64(age.Seconds() * fillRate)
			if len(known) == 0 || age > length-burst || k.origin.out.Load()-sent < allowed {
				return k.hashes[rng.IntN(len(k.hashes))], true
			}
			return known[rng.IntN(len(known))].hash, true
		})
	}()
	<-time.After(length) // nothing to wait for: the moment is what is random
	k.count(p)
	over.Store(true)
	k.killed = time.Now()
	p.Kill()
	<-ended
	k.underLoad[sync]++
	k.t.Logf("kill %2d: sync %-8s after %4d ms, %5d answers, %5.1f MiB of fills", n+1, sync, length.Milliseconds(),
		k.answers.Load()-answers, mib(k.origin.out.Load()-sent))
}

// ask has clients ask for what pick says, until it says no more or the program is over. Until then every request must
// be answered.
func (k *killer) ask(p *program, over *atomic.Bool, pick func(*rand.Rand) (blob.Hash, bool)) {
	var asking sync.WaitGroup
	for range clients {
		rng := rand.New(rand.NewPCG(k.rng.Uint64(), 2))
		asking.Go(func() {
			buf := make([]byte, blob.MaxSize)
			for !over.Load() {
				h, more := pick(rng)
				if !more {
					return
				}
				_, err := p.get(k.t.Context(), h, buf)
				if !k.judge(h, err, over.Load()) {
					return
				}
			}
		})
	}
	asking.Wait()
}

// judge counts an answer. It returns whether the client may go on.
func (k *killer) judge(h blob.Hash, err error, over bool) bool {
	switch {
	case err == nil:
		k.answers.Add(1)
		k.origin.noteServed(h)
		return true
	case errors.Is(err, errWrong):
		k.answers.Add(1)
		k.wrong.Add(1)
		k.t.Error(err)
		return true
	case errors.Is(err, errStatus) || !over:
		k.t.Errorf("a request to a program that was not killed: %v", err)
		return false
	default:
		k.cut.Add(1)
		return false
	}
}

// restart starts the program, asks for what should be warm, and compares that with the program's own counters.
func (k *killer) restart(sync string) *program {
	k.t.Helper()
	p := start(k.t, k.settings(sync))
	took := p.awaitReady(k.t)
	k.starts = append(k.starts, took)
	if took > slowestStart {
		k.t.Errorf("the start after a kill took %v", took)
	}
	var hits, asked int
	buf := make([]byte, blob.MaxSize)
	for _, rec := range k.origin.newest(newestBytes) {
		if rec.stored.IsZero() {
			continue // its fill was cut
		}
		if _, err := p.get(k.t.Context(), rec.hash, buf); !k.judge(rec.hash, err, false) {
			k.t.FailNow()
		}
		w := &k.young
		if k.killed.Sub(rec.stored) >= settled {
			w = &k.old
		}
		asked++
		w.of++
		if k.origin.asked(rec.hash) == rec.asked {
			hits++
			w.hits++
		}
	}
	k.compare(p, hits, asked)
	return p
}

// compare waits until the program has counted all that was asked, and compares.
func (k *killer) compare(p *program, hits, asked int) {
	k.t.Helper()
	const labels = `{cache_type="sf_disk-crash",component="crash"}`
	deadline := time.Now().Add(20 * time.Second)
	for {
		all, err := p.series(k.t.Context())
		if err != nil {
			k.t.Fatal(err)
		}
		h, m := int(all["reflector_cache_hit_total"+labels]), int(all["reflector_cache_miss_total"+labels])
		if h+m == asked && h == hits {
			noFaults(k.t, all)
			return
		}
		if time.Now().After(deadline) {
			k.t.Fatalf("the program counts %d hits and %d misses; the origin saw %d misses in %d requests", h, m, asked-hits, asked)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// count adds the program's counters to those of the lives before.
func (k *killer) count(p *program) {
	k.t.Helper()
	all, err := p.series(k.t.Context())
	if err != nil {
		k.t.Fatal(err)
	}
	noFaults(k.t, all)
	for _, family := range []string{
		"prism_fills_total", "prism_fills_passed_through_total", "prism_disk_evictions_total",
		"prism_disk_recovered_blobs_total", "prism_disk_punched_ranges_total", "prism_disk_unlinked_segments_total",
	} {
		k.counted[family] += sum(k.t, all, family)
	}
}

// report prints the totals and judges them.
func (k *killer) report(checked string) {
	k.t.Helper()
	slices.Sort(k.starts)
	k.t.Logf("%d kills under load %v, %d while opening", *kills, k.underLoad, k.whileOpening)
	k.t.Logf("bytes: %d of %d answers with wrong bytes; %d requests cut by kills", k.wrong.Load(), k.answers.Load(), k.cut.Load())
	k.t.Logf("starts: %d, answering after %v in the middle, %v at worst", len(k.starts),
		k.starts[len(k.starts)/2].Round(time.Millisecond), k.starts[len(k.starts)-1].Round(time.Millisecond))
	k.t.Logf("warm: %v of those served %v before a kill, %v of the younger ones", k.old, settled, k.young)
	for _, family := range slices.Sorted(maps.Keys(k.counted)) {
		k.t.Logf("counted: %s %.0f", family, k.counted[family])
	}
	k.t.Logf("checker: %s", checked)
	if k.old.of == 0 {
		k.t.Errorf("no blob had been served %v before a kill: nothing was shown", settled)
	}
	if k.old.share() < leastWarm {
		k.t.Errorf("only %v of the settled blobs were warm after a kill", k.old)
	}
}

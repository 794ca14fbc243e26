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
	"github.com/OdyseeTeam/prism/frontends/upload/reflectclient"
	"github.com/OdyseeTeam/prism/internal/testbed"
	"github.com/OdyseeTeam/prism/protocol/stream"
)

const (
	uploaders = 12
	onlookers = 3

	// uploadRate bounds uploads in bytes a second, but not in the last moments before a kill, so that it meets many.
	uploadRate = 16 << 20

	// olderBlobs is how many of the blobs of earlier lives are asked for after each kill.
	olderBlobs = 50
)

// TestReceipts kills a reflector that takes uploads, at random moments, and looks whether the next one has what uploaders
// were told that it has.
func TestReceipts(t *testing.T) {
	s := seed(t)
	t.Run("disk", func(t *testing.T) {
		mount := t.TempDir()
		k := newKeeper(t, s, diskStore(mount))
		k.run()
		t.Logf("checker: %s", checked(t, mount))
	})
	t.Run("proxied-s3", func(t *testing.T) {
		newKeeper(t, s, s3Store(testbed.S3(t))).run()
	})
}

// keeper kills one reflector after the other over one store, and keeps what they promised. Its methods are for the
// test's goroutine alone, but for what is said.
type keeper struct {
	t     *testing.T
	rng   *rand.Rand
	store string
	blobs blobs
	sent  atomic.Int64 // bytes of the blobs that were offered

	// kill ends a life: it calls end, which ends the load, and kills the reflector, or leaves it to live on.
	kill    func(p *node, end func()) (livesOn bool)
	alive   *node        // the reflector that lives on, or nil
	recheck func()       // looks at what was promised, while a reflector runs; set where there is a catalogue
	refuses bool         // uploads may be refused while the catalogue is away
	outages atomic.Int64 // begins and ends of the times when it is: odd in between

	mu       sync.Mutex
	next     int               // number of the next blob
	open     map[int]struct{}  // offered, and no word yet that the reflector has them
	promised map[int]blob.Hash // of these it said so
	fresh    []int             // the promised ones since the last start
	settled  []int             // those of earlier lives

	receipts, told, sds  int // receipts of true, answers that a blob is there already, receipts of SD blobs
	cut, whole, missing  int // blobs without a receipt at a kill, and what became of them
	answers, lost, wrong int // requests for promised blobs and for others
	whileOpening         int // kills
	starts               []time.Duration
}

func newKeeper(t *testing.T, seed uint64, store string) *keeper {
	return &keeper{
		t: t, rng: rand.New(rand.NewPCG(seed, 3)), store: store, blobs: blobs{seed: seed, full: 0.05},
		open: map[int]struct{}{}, promised: map[int]blob.Hash{},
		kill: func(n *node, end func()) bool { end(); n.Kill(); return false },
	}
}

func (k *keeper) run() {
	for n, life := range lives(k.rng, *receiptKills) {
		k.life(n, life)
		if k.alive == nil && k.rng.IntN(4) == 0 {
			k.killWhileOpening()
		}
	}
	p := k.restart()
	k.lookAtAll(p)
	if k.recheck != nil {
		k.recheck()
	}
	p.client.CloseIdleConnections()
	if err := p.Stop(time.Minute); err != nil {
		k.t.Fatal(err)
	}
	k.report()
}

func (k *keeper) start() *node {
	return startNode(k.t, nodeSettings{command: "reflector", store: k.store, drain: 20 * time.Second})
}

// killWhileOpening starts a reflector and kills it before, while or just after it opens its store.
func (k *keeper) killWhileOpening() {
	p := k.start()
	select {
	case <-p.Done():
		k.t.Fatal(p.Died())
	case <-time.After(time.Duration(k.rng.Int64N(int64(longestOpen)))):
	}
	p.Kill()
	k.whileOpening++
}

// life starts a reflector, looks at what it has, has clients upload, and kills it amidst that.
func (k *keeper) life(n int, length time.Duration) {
	p := k.restart()
	begun, sent := time.Now(), k.sent.Load()
	allowed := func() bool {
		age := time.Since(begun)
		return age > length-burst || k.sent.Load()-sent < int64(age.Seconds()*uploadRate)
	}
	var over atomic.Bool
	var clients sync.WaitGroup
	for range uploaders {
		rng := rand.New(rand.NewPCG(k.rng.Uint64(), 4))
		clients.Go(func() { k.upload(p, rng, &over, allowed) })
	}
	for range onlookers {
		rng := rand.New(rand.NewPCG(k.rng.Uint64(), 5))
		clients.Go(func() { k.lookOn(p, rng, &over) })
	}
	<-time.After(length) // nothing to wait for: the moment is what is random
	all, err := p.series(k.t.Context())
	if err != nil {
		k.t.Fatal(err)
	}
	noFaults(k.t, all)
	livesOn := k.kill(p, func() { over.Store(true) })
	clients.Wait()
	if livesOn {
		k.alive = p
		k.recheck()
	}
	k.cut += len(k.open)
	k.t.Logf("kill %2d: after %4d ms, %4d blobs promised, %2d uploads cut", n+1, length.Milliseconds(), len(k.fresh), len(k.open))
}

// upload uploads blobs, one after the other. Until the program is over every upload must end well, but for those that
// may be refused. It is for many goroutines.
func (k *keeper) upload(p *node, rng *rand.Rand, over *atomic.Bool, allowed func() bool) {
	for !over.Load() {
		outage, err := k.uploadTo(p, rng, over, allowed)
		if err == nil || over.Load() {
			return
		}
		if !k.refuses || outage%2 == 0 && outage == k.outages.Load() {
			k.t.Errorf("an upload to a program that was not killed: %v", err)
			return
		}
		time.Sleep(200 * time.Millisecond) // the next one would be refused at once
	}
}

// uploadTo is upload over one connection. outage is what outages was when the upload that failed began.
func (k *keeper) uploadTo(p *node, rng *rand.Rand, over *atomic.Bool, allowed func() bool) (outage int64, err error) {
	c, err := reflectclient.Dial(k.t.Context(), p.receiver, reflectclient.Options{})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	for !over.Load() {
		if !allowed() {
			time.Sleep(time.Millisecond)
			continue
		}
		outage = k.outages.Load()
		if err := k.uploadOne(c, k.choose(rng)); err != nil {
			return outage, err
		}
	}
	return outage, nil
}

// uploadOne uploads a blob, and notes what it is told. It is for many goroutines.
func (k *keeper) uploadOne(c *reflectclient.Client, i int) error {
	v := k.blobs.verified(i)
	k.sent.Add(v.Size())
	r, err := c.Upload(k.t.Context(), v, stream.Sniff(v.Bytes()))
	if err != nil {
		return err
	}
	k.promise(i, v, r)
	return nil
}

// choose gives the number of the next blob to offer: now and then one that another connection may be sending. It is for
// many goroutines.
func (k *keeper) choose(rng *rand.Rand) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	i := k.next
	if rng.IntN(6) == 0 && i > uploaders {
		i -= 1 + rng.IntN(uploaders)
	} else {
		k.next++
	}
	if _, ok := k.promised[i]; !ok {
		k.open[i] = struct{}{}
	}
	return i
}

// promise notes that the reflector has a blob: it sent a receipt, or did not want it. Nobody blocks anything here. It is
// for many goroutines.
func (k *keeper) promise(i int, v blob.Verified, r reflectclient.Result) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case !r.Sent:
		k.told++
	case stream.Sniff(v.Bytes()) == blob.KindSD:
		k.sds++
		fallthrough
	default:
		k.receipts++
	}
	delete(k.open, i)
	if _, ok := k.promised[i]; !ok {
		k.promised[i] = v.Hash()
		k.fresh = append(k.fresh, i)
	}
}

// lookOn asks for blobs that were uploaded, or are. It is for many goroutines.
func (k *keeper) lookOn(p *node, rng *rand.Rand, over *atomic.Bool) {
	buf := make([]byte, blob.MaxSize)
	for !over.Load() {
		k.mu.Lock()
		i := k.next - 1 - rng.IntN(3*uploaders)
		_, promised := k.promised[i]
		k.mu.Unlock()
		if i < 0 {
			time.Sleep(time.Millisecond)
			continue
		}
		_, err := k.look(p, i, promised, buf)
		if err != nil && !over.Load() {
			k.t.Errorf("a request to a program that was not killed: %v", err)
		}
	}
}

// look asks for a blob and judges the answer. An error is about the connection or a status that says nothing about the
// blob. It is for many goroutines.
func (k *keeper) look(p *node, i int, promised bool, buf []byte) (there bool, err error) {
	k.mu.Lock()
	h, known := k.promised[i]
	k.mu.Unlock()
	if !known {
		h = k.blobs.verified(i).Hash()
	}
	_, err = p.get(k.t.Context(), h, buf)
	missing := errors.Is(err, errMissing)
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case err == nil:
		k.answers++
		return true, nil
	case errors.Is(err, errWrong):
		k.answers++
		k.wrong++
		k.t.Errorf("blob %d: %v", i, err)
		return false, nil
	case missing && promised:
		k.answers++
		k.lost++
		k.t.Errorf("blob %d, %s, IS LOST: the reflector had said that it has it", i, h)
		return false, nil
	case missing:
		k.answers++
		return false, nil
	default:
		return false, fmt.Errorf("blob %d: %w", i, err)
	}
}

// restart starts a reflector, unless one lives on, looks at what it should have, and ends the uploads that were cut.
func (k *keeper) restart() *node {
	k.t.Helper()
	p := k.alive
	k.alive = nil
	if p == nil {
		p = k.start()
		took := p.awaitReady(k.t)
		k.starts = append(k.starts, took)
		if took > slowestStart {
			k.t.Errorf("the start after a kill took %v", took)
		}
	}
	older := slices.Clone(k.settled)
	k.rng.Shuffle(len(older), func(i, j int) { older[i], older[j] = older[j], older[i] })
	k.lookAt(p, slices.Concat(k.fresh, older[:min(len(older), olderBlobs)]))
	k.retry(p)
	k.settled = append(k.settled, k.fresh...)
	k.fresh = nil
	return p
}

// lookAt asks for blobs that must be there.
func (k *keeper) lookAt(p *node, numbers []int) {
	k.t.Helper()
	work := make(chan int)
	var looking sync.WaitGroup
	for range clients {
		looking.Go(func() {
			buf := make([]byte, blob.MaxSize)
			for i := range work {
				if _, err := k.look(p, i, true, buf); err != nil {
					k.t.Error(err)
				}
			}
		})
	}
	for _, i := range numbers {
		work <- i
	}
	close(work)
	looking.Wait()
}

// retry looks what became of the uploads that were cut, and uploads those blobs again, over as many connections as
// uploaders have.
func (k *keeper) retry(p *node) {
	k.t.Helper()
	open := slices.Sorted(maps.Keys(k.open))
	work := make(chan int, len(open))
	for _, i := range open {
		work <- i
	}
	close(work)
	var again sync.WaitGroup
	var broken atomic.Bool
	for range min(uploaders, len(open)) {
		again.Go(func() {
			if err := k.retryFrom(p, work); err != nil {
				broken.Store(true)
				k.t.Error(err)
			}
		})
	}
	again.Wait()
	if broken.Load() {
		k.t.FailNow()
	}
}

// retryFrom is retry over one connection. It is for many goroutines.
func (k *keeper) retryFrom(p *node, work <-chan int) error {
	c, err := reflectclient.Dial(k.t.Context(), p.receiver, reflectclient.Options{})
	if err != nil {
		return err
	}
	defer c.Close()
	buf := make([]byte, blob.MaxSize)
	for i := range work {
		there, err := k.look(p, i, false, buf)
		if err != nil {
			return err
		}
		v := k.blobs.verified(i)
		r, err := c.Upload(k.t.Context(), v, stream.Sniff(v.Bytes()))
		if err != nil {
			return fmt.Errorf("the second try of an upload that was cut: %w", err)
		}
		if r.Sent && there && k.recheck == nil { // with a catalogue the bytes may be there without a row
			k.t.Errorf("blob %d is there, and was wanted again", i)
		}
		k.promise(i, v, r)
		k.found(there)
		if _, err := k.look(p, i, true, buf); err != nil {
			return err
		}
	}
	return nil
}

// found counts what became of an upload that was cut. It is for many goroutines.
func (k *keeper) found(there bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if there {
		k.whole++
	} else {
		k.missing++
	}
}

// lookAtAll asks for everything that was ever promised, and offers every SD blob once more.
func (k *keeper) lookAtAll(p *node) {
	k.t.Helper()
	k.lookAt(p, k.settled)
	c, err := reflectclient.Dial(k.t.Context(), p.receiver, reflectclient.Options{})
	if err != nil {
		k.t.Fatal(err)
	}
	defer c.Close()
	for _, i := range k.settled {
		v := k.blobs.verified(i)
		if stream.Sniff(v.Bytes()) != blob.KindSD {
			continue
		}
		sd, err := stream.ParseSD(v.Bytes())
		if err != nil {
			k.t.Fatal(err)
		}
		r, err := c.Upload(k.t.Context(), v, blob.KindSD)
		if err != nil {
			k.t.Fatal(err)
		}
		if r.Sent || !slices.Equal(r.Needed, sd.Blobs) { // none of which was ever uploaded
			k.t.Errorf("SD blob %d was offered again: wanted %v, and of %d blobs %d are needed", i, r.Sent, len(sd.Blobs), len(r.Needed))
		}
	}
}

// report prints the totals and judges them.
func (k *keeper) report() {
	k.t.Helper()
	slices.Sort(k.starts)
	k.t.Logf("%d kills amidst uploads, %d while opening", *receiptKills, k.whileOpening)
	k.t.Logf("receipts: %d, of them %d of SD blobs, and %d answers that a blob is there already, together for %d blobs; %.0f MiB were offered",
		k.receipts, k.sds, k.told, len(k.promised), mib(k.sent.Load()))
	k.t.Logf("%d blobs lost, %d wrong, in %d answers", k.lost, k.wrong, k.answers)
	k.t.Logf("cut: %d blobs had no receipt at the kill: %d were whole, %d missing; all were uploaded again", k.cut, k.whole, k.missing)
	k.t.Logf("starts: %d, answering after %v in the middle, %v at worst", len(k.starts),
		k.starts[len(k.starts)/2].Round(time.Millisecond), k.starts[len(k.starts)-1].Round(time.Millisecond))
	// A few kills may all come between uploads; ten that do say that the kills come too late.
	if k.receipts == 0 || k.sds == 0 || k.cut == 0 && *receiptKills >= 10 {
		k.t.Errorf("%d receipts, %d of SD blobs, %d uploads cut: nothing was shown", k.receipts, k.sds, k.cut)
	}
}

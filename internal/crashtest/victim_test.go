package crashtest_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// victimKey is the variable that makes this binary an engine whose power is to be cut, and says which.
const victimKey = "PRISM_CRASHTEST_VICTIM"

// victim is an engine in a process of its own, with writers that tell on descriptor 3 what it acknowledges.
type victim struct {
	Dir     string
	Sync    string
	MaxSize int64  // 0: none
	Blobs   uint64 // seed of the blobs
	Choices uint64 // seed of the writers
}

// victimWriters are the writers. Each has blobs of its own, so that what it says of one comes in order.
const victimWriters = 4

// beVictim runs until SIGTERM. It ends well whatever becomes of its disk.
func beVictim(text string) int {
	var v victim
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	e, err := engine.Open(ctx, v.options())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		<-ctx.Done()
		return 0
	}
	r := &report{out: os.NewFile(3, "acknowledgements")}
	r.say(sayOpen, 0)
	var writers sync.WaitGroup
	for w := range victimWriters {
		writers.Go(func() { v.write(ctx, e, r, w) })
	}
	writers.Go(func() { v.flush(ctx, e, r) })
	writers.Wait()
	fmt.Fprintln(os.Stderr, "close:", e.Close())
	return 0
}

// options are how the victim opens its mount, and whoever looks at what is left of it.
func (v victim) options() engine.Options {
	s, err := engine.ParseSync(v.Sync)
	if err != nil {
		panic(err) // cannot be: the test chose it
	}
	return engine.Options{
		FS: diskfs.OS(), Dir: v.Dir, MaxSize: v.MaxSize, MinFree: 1 << 20, SegmentSize: cutSegment, ActiveSegments: 2,
		Sync: s, SyncInterval: cutInterval, IndexCache: 4 << 20,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	}
}

// report is where a victim says what happens.
type report struct {
	out *os.File
}

// say writes a line in one piece.
func (r *report) say(what rune, n int) {
	if _, err := fmt.Fprintf(r.out, "%c %d\n", what, n); err != nil {
		panic(err) // whoever reads it has gone
	}
}

// write puts, deletes and reads the blobs of one writer.
func (v victim) write(ctx context.Context, e *engine.Engine, r *report, w int) {
	rng := rand.New(rand.NewPCG(v.Choices, uint64(w)))
	source := blobs{seed: v.Blobs, full: 0.1}
	for ctx.Err() == nil {
		i := w + victimWriters*rng.IntN(cutBlobs/victimWriters)
		if !v.call(ctx, e, r, rng, i, source.verified(i)) {
			select { // the disk is gone, or full: there is no hurry
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
}

// call makes one call on a blob, and says whether it went well.
func (v victim) call(ctx context.Context, e *engine.Engine, r *report, rng *rand.Rand, i int, b blob.Verified) bool {
	has, err := e.Has(ctx, b.Hash())
	if err != nil {
		return false
	}
	if !has {
		r.say(sayBegin, i)
		if e.Put(ctx, b, blob.KindContent) != nil {
			return false
		}
		r.say(sayPut, i)
		return true
	}
	if rng.IntN(3) == 0 {
		r.say(sayBegin, i)
		if e.Delete(ctx, b.Hash()) != nil {
			return false
		}
		r.say(sayDelete, i)
		return true
	}
	h, err := e.Get(ctx, b.Hash())
	if err != nil {
		return false
	}
	defer h.Release()
	var got bytes.Buffer
	if _, err := h.WriteTo(&got); err != nil {
		return false
	}
	if !bytes.Equal(got.Bytes(), b.Bytes()) {
		r.say(sayWrong, i)
	}
	return true
}

// flush flushes now and then: without sync: always that is a promise too.
func (v victim) flush(ctx context.Context, e *engine.Engine, r *report) {
	rng := rand.New(rand.NewPCG(v.Choices, victimWriters))
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(rng.Int64N(int64(400 * time.Millisecond)))):
		}
		r.say(sayFlush, n)
		if e.Flush(ctx) == nil {
			r.say(sayFlushed, n)
		}
	}
}

// verified is a blob with its name. The shortest get their number as well: no two are the same.
func (b blobs) verified(i int) blob.Verified {
	data := b.bytes(i, nil)
	if len(data) < 16 {
		data = binary.LittleEndian.AppendUint32(data, uint32(i))
	}
	h := blob.NewHasher(make([]byte, 0, len(data)))
	_, err := h.Write(data)
	if err != nil {
		panic(err) // cannot be: there is room for it
	}
	v, err := h.Verified(h.Sum())
	if err != nil {
		panic(err) // cannot be: that is its name
	}
	return v
}

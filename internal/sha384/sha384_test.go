package sha384

import (
	"bytes"
	"crypto/sha512"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/internal/leaktest"
)

// withLanes is the lanes of one pass at once, or the end of a test where the processor has none.
func withLanes(tb testing.TB) *Lanes {
	tb.Helper()
	l := NewLanes()
	if l == nil {
		if supported() {
			tb.Fatal("the lanes are not what crypto/sha512 is")
		}
		tb.Skip("this processor has no lanes")
	}
	l.most = 1
	return l
}

// random is n bytes that differ from seed to seed and begin at an address of any alignment.
func random(r *rand.Rand, n int) []byte {
	at := r.IntN(64)
	b := make([]byte, at+n)
	_, _ = rand.NewChaCha8([32]byte{byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())}).Read(b) // never fails
	return b[at:]
}

// TestConstants computes the round constants: the first 64 bits of the fractional parts of cube roots.
func TestConstants(t *testing.T) {
	i := 0
	for p := int64(2); i < len(constants); p++ {
		if !big.NewInt(p).ProbablyPrime(0) {
			continue
		}
		// The cube root of p, times 2^64, is the largest x with x^3 <= p * 2^192.
		limit := new(big.Int).Lsh(big.NewInt(p), 192)
		x := new(big.Int)
		for bit := 68; bit >= 0; bit-- {
			more := new(big.Int).SetBit(x, bit, 1)
			if new(big.Int).Exp(more, big.NewInt(3), nil).Cmp(limit) <= 0 {
				x = more
			}
		}
		if want := x.And(x, new(big.Int).SetUint64(1<<64-1)).Uint64(); constants[i] != want {
			t.Errorf("constant %d is %#x, want %#x", i, constants[i], want)
		}
		i++
	}
}

// TestStepIsTheLibrary compares every number of streams, in every place, with crypto/sha512.
func TestStepIsTheLibrary(t *testing.T) {
	l := withLanes(t)
	r := rand.New(rand.NewPCG(1, 2))
	for streams := 1; streams <= maxLanes; streams++ {
		for blocks := 1; blocks <= 20; blocks++ {
			var texts [][]byte
			var batch []*Digest
			for range streams {
				before := random(r, BlockSize*r.IntN(3))
				text := append(before, random(r, BlockSize*(blocks+r.IntN(2)))...)
				d := New(l)
				d.rest = before
				for len(d.rest) > 0 {
					d.stepAlone(BlockSize)
				}
				d.rest = text[len(before):]
				texts, batch = append(texts, text), append(batch, d)
			}
			step(batch)
			for i, d := range batch {
				done := texts[i][:len(texts[i])-len(d.rest)]
				tail := random(r, r.IntN(2*BlockSize))
				if got, want := d.Sum(tail), sha512.Sum384(append(slices.Clone(done), tail...)); got != want {
					t.Fatalf("stream %d of %d after %d blocks: %x, want %x", i, streams, blocks, got, want)
				}
			}
		}
	}
}

// TestLengths hashes every length around the ends of blocks, given at once and in pieces, with lanes and without.
func TestLengths(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, l := range []*Lanes{nil, NewLanes()} {
		for n := range 4*BlockSize + 2 {
			text := random(r, n)
			once, pieces := New(l), New(l)
			whole := n &^ (BlockSize - 1)
			once.Blocks(text[:whole])
			for at := 0; at < whole; at += BlockSize {
				pieces.Blocks(text[at : at+BlockSize])
				if got := pieces.Sum(nil); got != sha512.Sum384(text[:at+BlockSize]) {
					t.Fatalf("%d bytes, after %d: %x", n, at+BlockSize, got)
				}
			}
			want := sha512.Sum384(text)
			for _, d := range []*Digest{once, pieces, once} { // Sum changes nothing
				if got := d.Sum(text[whole:]); got != want {
					t.Fatalf("%d bytes: %x, want %x", n, got, want)
				}
			}
		}
	}
}

// TestNotWholeBlocks wants a panic for what would be a wrong hash.
func TestNotWholeBlocks(t *testing.T) {
	for _, n := range []int{1, BlockSize - 1, BlockSize + 1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Blocks takes %d bytes", n)
				}
			}()
			New(NewLanes()).Blocks(make([]byte, n))
		}()
	}
}

// TestQueueIsTakenAlong holds the one pass until others wait, and wants each of them hashed, by whoever it was.
func TestQueueIsTakenAlong(t *testing.T) {
	leaktest.Check(t)
	l := withLanes(t)
	r := rand.New(rand.NewPCG(5, 6))
	for waiting := 1; waiting <= 3*maxLanes; waiting++ {
		l.mu.Lock()
		l.now++ // a pass that does not end
		l.mu.Unlock()
		var streams sync.WaitGroup
		for range waiting {
			text := random(r, BlockSize*(1+r.IntN(400)))
			streams.Go(func() {
				d := New(l)
				d.Blocks(text)
				if got := d.Sum(nil); got != sha512.Sum384(text) {
					t.Errorf("%d bytes among %d: %x", len(text), waiting, got)
				}
			})
		}
		for queued := 0; queued < waiting; {
			l.mu.Lock()
			queued = len(l.queue)
			l.mu.Unlock()
		}
		l.mu.Lock()
		l.queue[0].turn <- true // the end of that pass
		l.queue = slices.Delete(l.queue, 0, 1)
		l.mu.Unlock()
		streams.Wait()
		if l.now != 0 || len(l.queue) != 0 {
			t.Fatalf("%d streams leave %d passes and %d that wait", waiting, l.now, len(l.queue))
		}
	}
}

// TestNobodyWaitsForBytes wants a stream hashed while another is between its pieces.
func TestNobodyWaitsForBytes(t *testing.T) {
	l := withLanes(t)
	text := random(rand.New(rand.NewPCG(7, 8)), 64*BlockSize)
	slow, quick := New(l), New(l)
	slow.Blocks(text[:BlockSize])
	quick.Blocks(text)
	if quick.Sum(nil) != sha512.Sum384(text) {
		t.Error("the quick stream is wrong")
	}
	slow.Blocks(text[BlockSize:])
	if slow.Sum(nil) != sha512.Sum384(text) {
		t.Error("the slow stream is wrong")
	}
}

// TestManyStreams has more streams than lanes hash at once, in pieces of any size; some of them stop midway.
func TestManyStreams(t *testing.T) {
	leaktest.Check(t)
	l := withLanes(t)
	for most := 1; most <= 3; most++ {
		l.most = most
		var streams sync.WaitGroup
		for i := range 40 {
			streams.Go(func() {
				r := rand.New(rand.NewPCG(uint64(most), uint64(i)))
				for range 10 {
					mix(t, l, r, random(r, r.IntN(200_000)))
				}
			})
		}
		streams.Wait()
		if l.now != 0 || len(l.queue) != 0 {
			t.Fatalf("%d passes and %d streams are left", l.now, len(l.queue))
		}
	}
}

// mix hashes one text in pieces, or part of it.
func mix(t *testing.T, l *Lanes, r *rand.Rand, text []byte) {
	d := New(l)
	at := 0
	for len(text)-at >= BlockSize && r.IntN(20) > 0 {
		n := min(BlockSize*(1+r.IntN(600)), (len(text)-at)&^(BlockSize-1))
		d.Blocks(text[at : at+n])
		at += n
		if r.IntN(4) == 0 && d.Sum(nil) != sha512.Sum384(text[:at]) {
			t.Errorf("wrong after %d of %d bytes", at, len(text))
		}
	}
	if d.Sum(text[at:]) != sha512.Sum384(text) {
		t.Errorf("%d bytes are wrong", len(text))
	}
}

// TestProvenFindsDamage has every lane be wrong in turn, by one bit.
func TestProvenFindsDamage(t *testing.T) {
	withLanes(t)
	for lane := range maxLanes {
		damaged := func(batch []*Digest) {
			step(batch)
			if lane < len(batch) {
				batch[lane].state[lane] ^= 1 << lane
			}
		}
		if proven(damaged) {
			t.Errorf("nobody notices that lane %d is wrong", lane)
		}
	}
	if !proven(step) {
		t.Error("right lanes are found wrong")
	}
}

// FuzzStep compares streams of any content and length with crypto/sha512.
func FuzzStep(f *testing.F) {
	f.Add([]byte("abc"), uint8(1), uint16(0))
	f.Add(bytes.Repeat([]byte{0xff}, 5000), uint8(8), uint16(128))
	f.Add(bytes.Repeat([]byte{1, 2, 3}, 3000), uint8(5), uint16(77))
	f.Fuzz(func(t *testing.T, text []byte, streams uint8, skew uint16) {
		l := withLanes(t)
		n := 1 + int(streams)%maxLanes
		// Stream i is the text without its first i*skew bytes.
		var batch []*Digest
		var texts [][]byte
		for i := range n {
			own := text[min(len(text), i*int(skew)%(len(text)+1)):]
			d := New(l)
			d.rest = own[:len(own)&^(BlockSize-1)]
			if len(d.rest) > 0 {
				batch, texts = append(batch, d), append(texts, own)
			} else if d.Sum(own) != sha512.Sum384(own) {
				t.Fatalf("%d bytes alone are wrong", len(own))
			}
		}
		for len(batch) > 0 {
			step(batch)
			for i := len(batch) - 1; i >= 0; i-- {
				own := texts[i]
				if done := own[:batch[i].length]; batch[i].Sum(nil) != sha512.Sum384(done) {
					t.Fatalf("stream %d of %d is wrong after %d bytes", i, len(batch), len(done))
				}
				if len(batch[i].rest) > 0 {
					continue
				}
				if batch[i].Sum(own[batch[i].length:]) != sha512.Sum384(own) {
					t.Fatalf("stream %d of %d is wrong at its end, %d bytes", i, len(batch), len(own))
				}
				batch, texts = slices.Delete(batch, i, i+1), slices.Delete(texts, i, i+1)
			}
		}
	})
}

// BenchmarkStreams is what a byte of a number of streams that share a pass costs, as a part of what it costs by
// crypto/sha512. The two take turns.
func BenchmarkStreams(b *testing.B) {
	const size = 128 << 10
	text := random(rand.New(rand.NewPCG(9, 10)), size)
	for streams := 1; streams <= maxLanes; streams++ {
		b.Run(fmt.Sprint(streams), func(b *testing.B) {
			l := withLanes(b)
			var batch []*Digest
			for range streams {
				batch = append(batch, New(l))
			}
			var shared, alone time.Duration
			for b.Loop() {
				began := time.Now()
				for _, d := range batch {
					d.rest = text
				}
				for len(batch[0].rest) > 0 {
					step(batch)
				}
				between := time.Now()
				sha512.Sum384(text)
				shared, alone = shared+between.Sub(began), alone+time.Since(between)
			}
			b.ReportMetric(shared.Seconds()/float64(streams)/alone.Seconds(), "of-library")
			b.ReportMetric(float64(b.N*streams*size)/1e9/shared.Seconds(), "GB/s")
			b.ReportMetric(float64(b.N*size)/1e9/alone.Seconds(), "library-GB/s")
		})
	}
}

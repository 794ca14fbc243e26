package engine_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/engine/check/checktest"
	"github.com/OdyseeTeam/prism/engine/enginetest"
	"github.com/OdyseeTeam/prism/segments"
)

// The names of these tests carry the numbers of bad inputs that they cover.

// mustMiss demands that some blobs are not there.
func (b *badBed) mustMiss(what string, there []int, lost ...int) {
	b.t.Helper()
	for _, i := range lost {
		if has(there, i) {
			b.t.Errorf("%s: blob %d is there", what, i)
		}
	}
}

// eachStop runs a test after a good stop, after a bad one, and with the index gone.
func eachStop(t *testing.T, f func(t *testing.T, b *badBed)) {
	t.Run("good stop", func(t *testing.T) { f(t, newBad(t, true)) })
	t.Run("bad stop", func(t *testing.T) { f(t, newBad(t, false)) })
	t.Run("no index", func(t *testing.T) {
		b := newBad(t, true).clone()
		b.loseIndex()
		f(t, b)
	})
}

// stride is how many of the many ways to damage a mount one step takes: all of them with -all-faults.
func stride(n int) int {
	if *allFaults {
		return 1
	}
	return n
}

func TestBadInput67CutAtEveryByteOfTheLastRecord(t *testing.T) {
	eachStop(t, func(t *testing.T, whole *badBed) {
		last := whole.recs[5]
		for k := int64(0); k < int64(last.Length); k += int64(stride(9)) {
			b := whole.clone()
			b.t = t
			what := fmt.Sprintf("cut after %d of %d bytes", k, last.Length)
			b.truncate(b.path(5), last.Offset+k)
			b.mustMiss(what, b.serves(what, b.but(5)), 5)
		}
	})
}

func TestBadInput68FlippedBits(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	eachStop(t, func(t *testing.T, whole *badBed) {
		rng := rand.New(rand.NewPCG(seed, 0))
		for at := rng.IntN(stride(60)); at < 76*8; at += stride(60) {
			b := whole.clone()
			what := fmt.Sprintf("bit %d of the header", at)
			b.flip(b.path(5), int64(at/8), at%8)
			b.serves(what, []int{0, 1, 2}) // those of the other segment
		}
		for at := rng.IntN(stride(40)); at < segments.SlotSize*8; at += stride(40) {
			b := whole.clone()
			what := fmt.Sprintf("bit %d of a slot", at)
			b.flip(b.path(1), b.slotOff(1)+int64(at/8), at%8)
			b.mustMiss(what, b.serves(what, b.but(1)), 1)
		}
		for range 200 / stride(25) {
			b := whole.clone()
			at := rng.IntN(bedSizes[1])
			what := fmt.Sprintf("byte %d of a payload", at)
			b.flip(b.path(1), b.recs[1].Offset+int64(at), rng.IntN(8))
			b.mustMiss(what, b.serves(what, b.but(1)), 1)
		}
	})
}

func TestBadInput69LengthsThatCannotBe(t *testing.T) {
	le := binary.LittleEndian
	eachStop(t, func(t *testing.T, whole *badBed) {
		for what, change := range map[string]func(slot []byte){
			"no length":         func(s []byte) { le.PutUint32(s[64:], 0) },
			"all bits":          func(s []byte) { le.PutUint32(s[64:], 1<<32-1) },
			"the largest":       func(s []byte) { le.PutUint32(s[64:], 1<<22-1) },
			"a blob's largest":  func(s []byte) { le.PutUint32(s[64:], blob.MaxSize) },
			"beyond the end":    func(s []byte) { le.PutUint32(s[60:], 1<<32-1) },
			"in the table":      func(s []byte) { le.PutUint32(s[60:], 0) },
			"one byte too many": func(s []byte) { le.PutUint32(s[64:], le.Uint32(s[64:])+1) },
		} {
			b := whole.clone()
			b.t = t
			b.forge(1, change)
			b.mustMiss(what, b.serves(what, b.but(1)), 1)
		}
	})
}

// TestBadInput70TwoRecordsOfOneBlob brings back the first record of a blob that was deleted and put again. When the index
// is gone the higher sequence wins: were it the other, which is damaged, the blob would be lost.
func TestBadInput70TwoRecordsOfOneBlob(t *testing.T) {
	for _, damaged := range []string{"older", "younger"} {
		t.Run(damaged+" damaged", func(t *testing.T) {
			b := newBad(t, true)
			old, oldPath, oldSlot := b.recs[1], b.path(1), b.slotOff(1)
			slot := b.read(oldPath)[oldSlot:][:segments.SlotSize]
			payload := b.read(oldPath)[old.Offset:][:old.Length]
			e := open(t, bedOptions(b.disk))
			b.must(e.Delete(t.Context(), b.blobs[1].Hash()))
			mustPut(t, e, b.blobs[1])
			b.must(e.Close())
			b.recs = b.records()
			b.write(oldPath, oldSlot, slot)
			b.write(oldPath, old.Offset, payload)
			if damaged == "older" {
				b.flip(oldPath, old.Offset+10, 1)
			} else {
				b.flip(b.path(1), b.recs[1].Offset+10, 1)
			}
			b.loseIndex()
			if damaged == "older" {
				b.serves("rebuilt", b.but())
			} else {
				b.serves("rebuilt", b.but(1))
			}
		})
	}
}

// TestBadInput71RightCRCWrongHash: no fault of a disk makes a slot and a payload whose checksums are both right under a
// name that is not that of the bytes, only somebody who writes them does. The engine does not hash what it reads; the
// checker does, when it is told to, and Put takes nothing that was not compared with its name.
func TestBadInput71RightCRCWrongHash(t *testing.T) {
	b := newBad(t, true)
	b.forge(1, func(slot []byte) { slot[0] ^= 1 })
	r, err := check.Mount(t.Context(), b.disk, enginetest.Dir, check.Options{Hashes: true})
	if err != nil || r.Clean() {
		t.Errorf("under another name in the slot alone: %v, %v", err, r)
	}
	b.mustMiss("in the slot alone", b.serves("another name in the slot alone", b.but(1)), 1)

	checktest.Except(t, "a record with a right CRC and another blob's name stays: only a checker that hashes finds it")
	b = newBad(t, true).clone()
	other := make([]byte, bedSizes[1])
	b.write(b.path(1), b.recs[1].Offset, other)
	b.forge(1, func(slot []byte) { binary.LittleEndian.PutUint32(slot[68:], segments.Checksum(other)) })
	b.mustMiss("the row has the old checksum", b.clone().look("old row", openSmall(t, bedOptions(b.clone().disk))), 1)
	b.loseIndex()
	e := openSmall(t, bedOptions(b.disk))
	b.must(e.WaitRecovered(t.Context()))
	b.must(e.Close())
	r, err = check.Mount(t.Context(), b.disk, enginetest.Dir, check.Options{Hashes: true})
	if err != nil || len(r.Findings) != 1 || r.Findings[0].Hash != b.blobs[1].Hash() {
		t.Errorf("the checker that hashes says %v, %v", err, r)
	}
}

func TestBadInput72HoleUnderARecord(t *testing.T) {
	eachStop(t, func(t *testing.T, whole *badBed) {
		for _, block := range []int64{0, 7, 17} {
			b := whole.clone()
			b.t = t
			f, err := b.disk.Open(b.path(1), true)
			b.must(err)
			b.must(errors.Join(f.Punch(b.recs[1].Offset+block*4096, 4096), f.Sync(), f.Close()))
			what := fmt.Sprintf("block %d is a hole", block)
			b.mustMiss(what, b.serves(what, b.but(1)), 1)
		}
	})
}

func TestBadInput73SegmentsThatAreNotOurs(t *testing.T) {
	other := newBad(t, true)
	eachStop(t, func(t *testing.T, whole *badBed) {
		first, second := []int{0, 1, 2}, []int{3, 4, 5}
		for _, c := range []struct {
			what  string
			do    func(b *badBed)
			whole []int
			lost  []int
			stays []check.Kind
		}{
			{"swapped", func(b *badBed) {
				b.must(b.disk.Rename(b.path(0), b.segPath("x")))
				b.must(b.disk.Rename(b.path(5), b.path(0)))
				b.must(b.disk.Rename(b.segPath("x"), b.path(5)))
			}, nil, append(first, second...), nil},
			{"renamed to another id", func(b *badBed) { b.must(b.disk.Rename(b.path(5), b.segPath("0000000000000fff.seg"))) }, first, second, nil},
			{"renamed to what is no id", func(b *badBed) { b.must(b.disk.Rename(b.path(5), b.segPath("old.seg"))) }, first, second, []check.Kind{check.ForeignFile}},
			{"of another mount", func(b *badBed) {
				b.must(b.disk.Remove(b.path(5)))
				b.write(b.path(5), 0, other.read(other.path(5)))
			}, first, second, nil},
			{"empty", func(b *badBed) { b.truncate(b.path(5), 0) }, first, second, nil},
			{"cut in its header", func(b *badBed) { b.truncate(b.path(5), 40) }, first, second, nil},
			{"gone: a gap in the ids", func(b *badBed) { b.must(b.disk.Remove(b.path(0))) }, second, first, nil},
			{"a folder in its place", func(b *badBed) {
				b.must(b.disk.Remove(b.path(5)))
				b.must(b.disk.Mkdir(b.path(5)))
			}, first, second, []check.Kind{check.SegmentDamaged}},
			{"version 0", func(b *badBed) { b.reseal(b.path(5), 0) }, first, second, nil},
			{"a foreign file beside them", func(b *badBed) { b.write(b.segPath("notes.txt"), 0, []byte("hello")) }, everyBlob, nil, []check.Kind{check.ForeignFile}},
		} {
			t.Run(c.what, func(t *testing.T) {
				b := whole.clone()
				b.t = t
				b.stays = c.stays
				c.do(b)
				b.must(b.disk.SyncDir(filepath.Join(enginetest.Dir, "segments")))
				b.mustMiss(c.what, b.serves(c.what, c.whole), c.lost...)
			})
		}
	})
}

var everyBlob = []int{0, 1, 2, 3, 4, 5}

// reseal changes the version in a segment's header.
func (b *badBed) reseal(path string, version byte) {
	b.t.Helper()
	head := b.read(path)[:76]
	head[8] = version
	binary.LittleEndian.PutUint32(head[72:], segments.Checksum(head[:72]))
	b.write(path, 0, head)
}

// TestBadInput73FIFOInPlace: a FIFO under the name of a segment does not hang whoever opens it. It needs a real disk.
func TestBadInput73FIFOInPlace(t *testing.T) {
	o := engine.Options{Dir: t.TempDir(), SegmentSize: blob.MaxSize, ActiveSegments: 1, MinFree: 1, Logger: slog.New(slog.DiscardHandler)}
	e := open(t, o)
	v := randomBlob(t, 5000)
	mustPut(t, e, v)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(o.Dir, "segments", "0000000000000009.seg")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		answers(t, "a mount with a FIFO", func() {
			e := open(t, o)
			if err := e.WaitRecovered(context.Background()); err != nil {
				t.Error(err)
			}
			mustGet(t, e, v)
			mustPut(t, e, randomBlob(t, 300))
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	if err := os.Remove(fifo); err != nil { // the rest of the mount is clean
		t.Error(err)
	}
}

// TestQuarantine: a record that the disk cannot read is a miss, once and for all, is counted, and can be put again.
func TestQuarantine(t *testing.T) {
	b := newBad(t, true)
	b.must(b.disk.FailReads(b.path(1), b.recs[1].Offset+4096, 1))
	e := open(t, bedOptions(b.disk))
	if got := b.look("bad block", e); has(got, 1) || len(got) != len(b.blobs)-1 {
		t.Errorf("blobs %v are there", got)
	}
	eventually(t, "the record to be dropped", func() bool {
		ok, err := e.Has(t.Context(), b.blobs[1].Hash())
		return !ok && err == nil && e.Stats().Quarantined > 0 // which is counted last
	})
	if st := e.Stats(); st.Quarantined != 1 || st.IOErrors["read"] == 0 {
		t.Errorf("%d records in quarantine, faults %v", st.Quarantined, st.IOErrors)
	}
	mustPut(t, e, b.blobs[1])
	mustGet(t, e, b.blobs[1])
	b.must(e.Close())
	b.must(b.disk.FailReads(b.path(1), 0, 0))
	b.recs = b.records()
	b.serves("the next start", b.but())
}

package segments_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/segments"
)

// The format once more, written from the table in the package comment: what the package does is compared with it.

// slotFields are the fields of a slot, in the order of the format.
type slotFields struct {
	hash         blob.Hash
	seq          uint64
	time, blocks uint32
	meta, crc    uint32
}

// meta packs length, kind and whatever other bits.
func meta(length, kind, rest uint32) uint32 { return length | kind<<22 | rest }

func (f slotFields) encode(h segments.Header, number uint32) []byte {
	le := binary.LittleEndian
	b := bytes.Clone(f.hash[:])
	b = le.AppendUint64(b, f.seq)
	for _, n := range []uint32{f.time, f.blocks, f.meta, f.crc} {
		b = le.AppendUint32(b, n)
	}
	return sealSlot(append(b, 0, 0, 0, 0), h, number)
}

// sealSlot gives a slot a right checksum.
func sealSlot(b []byte, h segments.Header, number uint32) []byte {
	binary.LittleEndian.PutUint32(b[72:], slotSum(b, h, number))
	return b
}

func slotSum(b []byte, h segments.Header, number uint32) uint32 {
	le := binary.LittleEndian
	sum := le.AppendUint64(bytes.Clone(h.Mount[:]), uint64(h.ID))
	sum = append(le.AppendUint32(sum, number), b[:72]...)
	return crc32.Checksum(sum, crc32.MakeTable(crc32.Castagnoli))
}

// judge reads a slot by the rules of the package comment.
func judge(b []byte, h segments.Header, number uint32) (segments.Record, bool) {
	le := binary.LittleEndian
	m := le.Uint32(b[64:])
	rec := segments.Record{
		Hash: blob.Hash(b[:48]),
		Location: segments.Location{
			Segment: h.ID, Slot: number, Offset: int64(le.Uint32(b[60:])) << 12, Length: m & 0x3fffff, CRC: le.Uint32(b[68:]),
		},
		Seq: le.Uint64(b[48:]), Time: le.Uint32(b[56:]), Kind: blob.Kind(m >> 22 & 3), Dead: m>>24&1 == 1,
	}
	rounded := (int64(rec.Length) + 4095) / 4096 * 4096
	ok := slotSum(b, h, number) == le.Uint32(b[72:]) &&
		rec.Length >= 1 && rec.Length <= 2<<20 && rec.Kind <= 1 && m>>25 == 0 &&
		rec.Offset >= h.PayloadAt() && rec.Offset+rounded <= h.PayloadAt()+h.Capacity
	return rec, ok
}

// table writes a segment file with a good header and these slots, everything else sparse, and opens it.
func (b bed) table(t testing.TB, h segments.Header, slots map[uint32][]byte) *segments.Segment {
	t.Helper()
	f, err := b.fs.Create(b.path(h.ID))
	if err == nil {
		_, err = f.WriteAt(headerBytes(h), 0)
	}
	for n, p := range slots {
		if err == nil {
			_, err = f.WriteAt(p, segments.HeaderSize+int64(n)*segments.SlotSize)
		}
	}
	if err = errors.Join(err, f.Truncate(h.End()), f.Close()); err != nil {
		t.Fatal(err)
	}
	return b.at(t, h.ID)
}

// headerBytes is the header of the format.
func headerBytes(h segments.Header) []byte {
	le := binary.LittleEndian
	b := append([]byte("PRISMSEG"), 1, 0, 0, 0, 0, 0, 0, 0)
	b = append(b, h.Mount[:]...)
	slots := h.Capacity / 4096
	for _, n := range []uint64{
		uint64(h.ID), uint64(h.Capacity), uint64(slots) | 76<<32, uint64(4096+slots*76+4095) &^ 4095, h.Created,
	} {
		b = le.AppendUint64(b, n)
	}
	return resealHeader(append(b, make([]byte, segments.HeaderSize-len(b))...))
}

func TestASlotIsValidIfAndOnlyIf(t *testing.T) {
	h := header(1, 1024)
	first := uint32(h.PayloadAt() >> 12)
	last := first + 1023
	good := slotFields{hash: blob.Hash{1}, seq: 7, time: 8, blocks: first, meta: meta(4096, 0, 0), crc: 9}
	for name, c := range map[string]struct {
		change func(f *slotFields)
		valid  bool
	}{
		"as it is":              {func(*slotFields) {}, true},
		"1 byte":                {func(f *slotFields) { f.meta = meta(1, 0, 0) }, true},
		"a whole blob":          {func(f *slotFields) { f.meta = meta(blob.MaxSize, 0, 0) }, true},
		"SD":                    {func(f *slotFields) { f.meta = meta(5, 1, 0) }, true},
		"dead":                  {func(f *slotFields) { f.meta = meta(5, 0, 1<<24) }, true},
		"the last block":        {func(f *slotFields) { f.blocks = last }, true},
		"up to the last block":  {func(f *slotFields) { f.blocks, f.meta = last-1, meta(4097, 0, 0) }, true},
		"length 0":              {func(f *slotFields) { f.meta = meta(0, 0, 0) }, false},
		"a byte too long":       {func(f *slotFields) { f.meta = meta(blob.MaxSize+1, 0, 0) }, false},
		"all bits of length":    {func(f *slotFields) { f.meta = meta(1<<22-1, 0, 0) }, false},
		"all bits":              {func(f *slotFields) { f.meta = 1<<32 - 1 }, false},
		"kind 2":                {func(f *slotFields) { f.meta = meta(5, 2, 0) }, false},
		"kind 3":                {func(f *slotFields) { f.meta = meta(5, 3, 0) }, false},
		"bit 25":                {func(f *slotFields) { f.meta = meta(5, 0, 1<<25) }, false},
		"bit 31":                {func(f *slotFields) { f.meta = meta(5, 0, 1<<31) }, false},
		"before the payloads":   {func(f *slotFields) { f.blocks = first - 1 }, false},
		"at the header":         {func(f *slotFields) { f.blocks = 0 }, false},
		"after the payloads":    {func(f *slotFields) { f.blocks = last + 1 }, false},
		"beyond the payloads":   {func(f *slotFields) { f.blocks, f.meta = last, meta(4097, 0, 0) }, false},
		"far away":              {func(f *slotFields) { f.blocks = 1<<32 - 1 }, false},
		"a whole blob too near": {func(f *slotFields) { f.blocks, f.meta = last-510, meta(blob.MaxSize, 0, 0) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := good
			c.change(&f)
			raw := f.encode(h, 3)
			want, ok := judge(raw, h, 3)
			if ok != c.valid {
				t.Fatalf("the test's own reading says %v", ok)
			}
			s := memBed(t).table(t, h, map[uint32][]byte{3: raw})
			mustJudge(t, s, 3, want, c.valid)
		})
	}
}

// mustJudge fails unless ReadSlot and Scan find exactly one written slot, and agree on whether it is valid.
func mustJudge(t *testing.T, s *segments.Segment, number uint32, want segments.Record, valid bool) {
	t.Helper()
	got, err := s.ReadSlot(number)
	recs, bad := scan(t, s, 0)
	if valid {
		if err != nil || got != want || bad != 0 || len(recs) != 1 || recs[0] != want {
			t.Errorf("slot %+v, %v; scan %+v and %d bad; want %+v", got, err, recs, bad, want)
		}
		return
	}
	if !errors.Is(err, segments.ErrBadSlot) || got != (segments.Record{}) || bad != 1 || len(recs) != 0 {
		t.Errorf("slot %+v, %v; scan %+v and %d bad; want a bad slot", got, err, recs, bad)
	}
}

// TestASlotCountsOnlyWhereItWasWritten breaks the first rule: the checksum covers mount, segment and number.
func TestASlotCountsOnlyWhereItWasWritten(t *testing.T) {
	h := header(1, 1024)
	f := slotFields{hash: blob.Hash{1}, seq: 7, blocks: uint32(h.PayloadAt() >> 12), meta: meta(5, 0, 0)}
	otherSegment, otherMount := header(2, 1024), h
	otherMount.Mount[15] ^= 1
	for name, raw := range map[string][]byte{
		"another number":  f.encode(h, 4),
		"another segment": f.encode(otherSegment, 3),
		"another mount":   f.encode(otherMount, 3),
	} {
		t.Run(name, func(t *testing.T) {
			mustJudge(t, memBed(t).table(t, h, map[uint32][]byte{3: raw}), 3, segments.Record{}, false)
		})
	}
	t.Run("beyond the table", func(t *testing.T) {
		s := memBed(t).table(t, h, map[uint32][]byte{1024: f.encode(h, 1024)})
		if _, err := s.ReadSlot(1024); !errors.Is(err, segments.ErrBadSlot) {
			t.Errorf("slot 1024 of 1024: %v", err)
		}
		if recs, bad := scan(t, s, 0); len(recs) != 0 || bad != 0 {
			t.Errorf("%+v, %d bad", recs, bad)
		}
	})
}

func TestEachBitOfASlot(t *testing.T) {
	b := memBed(t)
	s := b.create(t, 1, 16)
	want := put(t, s, content(1, 5000))
	raw := b.raw(t, b.path(1), segments.HeaderSize, segments.SlotSize)
	fresh := b.at(t, 1)
	for bit := range 8 * segments.SlotSize {
		raw[bit/8] ^= 1 << (bit % 8)
		b.patch(t, b.path(1), segments.HeaderSize, raw)
		mustJudge(t, fresh, 0, want, false)
		raw[bit/8] ^= 1 << (bit % 8)
	}
	b.patch(t, b.path(1), segments.HeaderSize, raw)
	mustJudge(t, fresh, 0, want, true)
}

// TestTornSlot: what a power cut leaves of a slot that was being written, or marked dead, is no record that was never
// written.
func TestTornSlot(t *testing.T) {
	b := memBed(t)
	s := b.create(t, 1, 16)
	want := put(t, s, content(1, 5000))
	slot := func() []byte { return b.raw(t, b.path(1), segments.HeaderSize, segments.SlotSize) }
	live := slot()
	if err := s.MarkDead(0); err != nil {
		t.Fatal(err)
	}
	dead := slot()
	fresh := b.at(t, 1)
	for n := 1; n < len(live); n++ {
		b.patch(t, b.path(1), segments.HeaderSize, append(bytes.Clone(live[:n]), make([]byte, len(live)-n)...))
		mustJudge(t, fresh, 0, segments.Record{}, false)
		torn := append(bytes.Clone(dead[:n]), live[n:]...)
		b.patch(t, b.path(1), segments.HeaderSize, torn)
		mustJudge(t, fresh, 0, want, bytes.Equal(torn, live))
	}
}

// TestASlotThatLostItsFirstBlock: slot 53 lies in two blocks of the file. What is left of it in the second is no record,
// and is counted.
func TestASlotThatLostItsFirstBlock(t *testing.T) {
	h := header(1, 1024)
	b := memBed(t)
	s := b.table(t, h, nil)
	raw := slotFields{blocks: uint32(h.PayloadAt() >> 12), meta: meta(5, 0, 0)}.encode(h, 53)
	const first = 4096 - 53*segments.SlotSize // bytes of it in the first block
	b.patch(t, b.path(1), segments.HeaderSize+4096, raw[first:])
	mustJudge(t, s, 53, segments.Record{}, false)
	b.patch(t, b.path(1), segments.HeaderSize+53*segments.SlotSize, raw[:first])
	want, _ := judge(raw, h, 53)
	mustJudge(t, s, 53, want, true)
}

// TestMarkDead: a slot is valid before and after, and one that is not is left as it is.
func TestMarkDead(t *testing.T) {
	eachFS(t, func(t *testing.T, b bed) {
		s := b.create(t, 1, 1024)
		want := put(t, s, content(1, 5000))
		for range 2 {
			if err := s.MarkDead(0); err != nil {
				t.Fatal(err)
			}
		}
		want.Dead = true
		mustJudge(t, b.at(t, 1), 0, want, true)
		if err := s.MarkDead(1); !errors.Is(err, segments.ErrBadSlot) {
			t.Errorf("an empty slot: %v", err)
		}
		if got := b.raw(t, b.path(1), segments.HeaderSize+segments.SlotSize, segments.SlotSize); !bytes.Equal(got, make([]byte, len(got))) {
			t.Error("an empty slot was written")
		}
	})
}

// counting counts the bytes that are read of its files.
type counting struct {
	diskfs.FS
	read int64
}

type countingFile struct {
	diskfs.File
	fs *counting
}

func (c *counting) Open(name string, write bool) (diskfs.File, error) {
	f, err := c.FS.Open(name, write)
	return countingFile{f, c}, err
}

func (f countingFile) ReadAt(p []byte, off int64) (int, error) {
	f.fs.read += int64(len(p))
	return f.File.ReadAt(p, off)
}

// TestScanOfSparseTables compares scans of tables with gaps with what was written, and with what they may cost.
func TestScanOfSparseTables(t *testing.T) {
	eachFS(t, func(t *testing.T, b bed) {
		seed := rand.Uint64()
		rng := rand.New(rand.NewPCG(seed, 0))
		for id := segments.ID(1); id <= 12; id++ {
			h := header(id, 1+rng.Int64N(20000))
			slots, want, wantBad := map[uint32][]byte{}, []segments.Record(nil), 0
			step := 1 + rng.Uint32N(3000)
			for n := rng.Uint32N(step + 1); n < h.Slots(); n += 1 + rng.Uint32N(step) {
				f := slotFields{seq: uint64(n), blocks: uint32(h.PayloadAt()>>12) + n, meta: meta(1+rng.Uint32N(4096), n%2, 0)}
				slots[n] = f.encode(h, n)
				if rng.IntN(4) == 0 {
					slots[n][rng.IntN(76)] ^= 1
					wantBad++
					continue
				}
				rec, _ := judge(slots[n], h, n)
				want = append(want, rec)
			}
			b.table(t, h, slots)
			c := &counting{FS: b.fs}
			s := segments.At(c, b.path(id), h.Mount, id)
			got, bad := scan(t, s, 0)
			if fmt.Sprint(got) != fmt.Sprint(want) || bad != wantBad {
				t.Errorf("seed %d, segment %d: %d records and %d bad, want %d and %d", seed, id, len(got), bad, len(want), wantBad)
			}
			// A read takes up to 1,024 slots from where data begins.
			if most := int64(segments.HeaderSize + (len(slots)+1)*1024*segments.SlotSize); c.read > most {
				t.Errorf("seed %d, segment %d: %d bytes read for %d slots, want at most %d", seed, id, c.read, len(slots), most)
			}
			from := rng.Uint32N(h.Slots() + 2)
			got, _ = scan(t, s, from)
			for len(want) > 0 && want[0].Slot < from {
				want = want[1:]
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("seed %d, segment %d: from slot %d: %d records, want %d", seed, id, from, len(got), len(want))
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestScanOfALargeTableIsCheap(t *testing.T) {
	b := memBed(t)
	h := header(1, 1<<30>>12)
	at := uint32(h.PayloadAt() >> 12)
	slots := map[uint32][]byte{}
	for _, n := range []uint32{0, 1, h.Slots() - 1} {
		slots[n] = slotFields{blocks: at + n, meta: meta(1, 0, 0)}.encode(h, n)
	}
	b.table(t, h, slots)
	c := &counting{FS: b.fs}
	s := segments.At(c, b.path(1), h.Mount, 1)
	defer s.Close()
	if recs, bad := scan(t, s, 0); len(recs) != 3 || bad != 0 {
		t.Errorf("%d records, %d bad", len(recs), bad)
	}
	if c.read > 200<<10 {
		t.Errorf("%d bytes read for 3 slots in a table of %d", c.read, segments.TableBytes(h.Slots()))
	}
}

func TestScanStops(t *testing.T) {
	b := memBed(t)
	s := b.create(t, 1, 16)
	for i := range 5 {
		put(t, s, content(uint64(i), 10))
	}
	stop, calls := errors.New("stop"), 0
	_, err := s.Scan(1, func(r segments.Record) error {
		if calls++; r.Slot == 2 {
			return stop
		}
		return nil
	})
	if err != stop || calls != 2 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

// TestScanOfAFileThatEndsEarly: nothing is made up where the file ends within its table.
func TestScanOfAFileThatEndsEarly(t *testing.T) {
	b := memBed(t)
	s := b.create(t, 1, 16)
	for i := range 5 {
		put(t, s, content(uint64(i), 10))
	}
	fresh := b.at(t, 1)
	for n := int64(segments.HeaderSize + 5*segments.SlotSize); n >= segments.HeaderSize; n-- {
		b.resize(t, b.path(1), n)
		recs, _ := scan(t, fresh, 0)
		if want := int(n-segments.HeaderSize) / segments.SlotSize; len(recs) != want {
			t.Fatalf("%d records in a file of %d bytes, want %d", len(recs), n, want)
		}
	}
}

// FuzzTable lays arbitrary bytes into the table of a segment: what comes back obeys the rules of the package comment,
// whatever they are, and nothing that obeys them is missing.
func FuzzTable(f *testing.F) {
	golden, err := hex.DecodeString(goldenSlots)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden, uint16(0), false)
	f.Add(golden, uint16(0), true)
	f.Add(golden, uint16(53*76+70), true)
	f.Add(bytes.Repeat([]byte{0xff}, 300), uint16(31), true)
	f.Fuzz(func(t *testing.T, p []byte, at uint16, seal bool) {
		h := header(1, 300)
		room := int(h.Slots()) * segments.SlotSize
		off := int(at) % room
		p = bytes.Clone(p[:min(len(p), room-off)])
		if seal { // with a right checksum the fields are reached
			off -= off % segments.SlotSize
			for i := 0; i+segments.SlotSize <= len(p); i += segments.SlotSize {
				sealSlot(p[i:i+segments.SlotSize], h, uint32((off+i)/segments.SlotSize))
			}
		}
		whole := make([]byte, room)
		copy(whole[off:], p)
		b := memBed(t)
		s := b.table(t, h, nil)
		if len(p) > 0 {
			b.patch(t, b.path(1), segments.HeaderSize+int64(off), p)
		}
		got, bad := scan(t, s, 0)
		for n := range h.Slots() {
			raw := whole[n*segments.SlotSize:][:segments.SlotSize]
			want, ok := judge(raw, h, n)
			switch rec, err := s.ReadSlot(n); {
			case ok && (err != nil || rec != want):
				t.Errorf("slot %d: %+v, %v; want %+v", n, rec, err, want)
			case !ok && !errors.Is(err, segments.ErrBadSlot):
				t.Errorf("slot %d: %+v, %v; want a bad slot", n, rec, err)
			}
			switch {
			case ok && (len(got) == 0 || got[0] != want):
				t.Fatalf("the scan lacks %+v", want)
			case ok:
				got = got[1:]
			case !bytes.Equal(raw, make([]byte, len(raw))):
				bad--
			}
		}
		if len(got) != 0 || bad != 0 {
			t.Errorf("%d records too many, %d bad slots too many", len(got), bad)
		}
	})
}

// FuzzSegmentFile opens arbitrary bytes as a segment.
func FuzzSegmentFile(f *testing.F) {
	golden, err := hex.DecodeString(goldenSlots)
	if err != nil {
		f.Fatal(err)
	}
	whole := append(headerBytes(header(1, 300)), golden...)
	f.Add(whole)
	f.Add(whole[:5000])
	f.Add([]byte("PRISMSEG"))
	f.Fuzz(func(t *testing.T, p []byte) {
		b := memBed(t)
		file, err := b.fs.Create(b.path(1))
		if err == nil {
			_, err = file.WriteAt(p, 0)
		}
		if err = errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
		s := b.at(t, 1)
		h, err := s.Header()
		if err != nil {
			if !errors.Is(err, segments.ErrBadHeader) && !errors.Is(err, segments.ErrNewerVersion) {
				t.Errorf("unnamed error %v", err)
			}
			return
		}
		buf := make([]byte, blob.MaxSize)
		_, err = s.Scan(0, func(rec segments.Record) error {
			raw := b.raw(t, b.path(1), segments.HeaderSize+int64(rec.Slot)*segments.SlotSize, segments.SlotSize)
			if want, ok := judge(raw, h, rec.Slot); !ok || rec != want {
				t.Errorf("accepted %+v", rec)
			}
			has, err := s.HasData(rec.Location)
			if err != nil {
				return err
			}
			err = s.ReadPayload(rec.Location, buf)
			if err == nil && !has && !bytes.Equal(buf[:rec.Length], make([]byte, rec.Length)) {
				t.Errorf("a payload where there is no data: %+v", rec)
			}
			if err != nil && !errors.Is(err, blob.ErrCorrupt) {
				return err
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

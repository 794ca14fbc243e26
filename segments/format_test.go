package segments_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/segments"
)

// goldenHeader is the header of segment 0x0102030405060708 with 300 blocks. What follows it in its block is zeros.
const goldenHeader = "505249534d534547" + // magic
	"01000000" + "00000000" + // version, features
	"101112131415161718191a1b1c1d1e1f" + // mount
	"0807060504030201" + // id
	"00c0120000000000" + // capacity
	"2c010000" + "4c000000" + // slots, bytes a slot
	"0070000000000000" + // first payload
	"0000006a00000000" + // created
	"bdd3117e" // CRC

// goldenSlots are slots 0 to 2 of that segment: "prism", an SD blob of 4097 bytes, and the first again, dead.
const goldenSlots = "" +
	"b169a4245f2e4cedbbe7130044140f100f761b24e219004894a3d63624bfd770eff59941094a47e56b3c5f00242b9988" + // SHA-384
	"1817161514131211" + // sequence
	"0100006a" + "07000000" + // time, offset in blocks
	"05000000" + // length, kind, dead
	"16654822" + // CRC of the payload
	"7b027fce" + // CRC of the slot

	"e67ad9254d5ebccb7c888722de265a047b7a2f9010f31680766c15be530918601ac35c9a2752a57751243090f82db2e5" +
	"2827262524232221" +
	"0200006a" + "08000000" +
	"01104000" +
	"5df899e4" +
	"38ee9538" +

	"b169a4245f2e4cedbbe7130044140f100f761b24e219004894a3d63624bfd770eff59941094a47e56b3c5f00242b9988" +
	"3837363534333231" +
	"0300006a" + "0a000000" +
	"05000001" +
	"16654822" +
	"8300e597"

func TestGoldenBytes(t *testing.T) {
	eachFS(t, func(t *testing.T, b bed) {
		const id = 0x0102030405060708
		s := b.create(t, id, 300)
		want := []segments.Record{
			{Location: segments.Location{Segment: id, Slot: 0, Offset: 7 * 4096, Length: 5}, Seq: 0x1112131415161718, Time: 0x6a000001},
			{Location: segments.Location{Segment: id, Slot: 1, Offset: 8 * 4096, Length: 4097}, Seq: 0x2122232425262728, Time: 0x6a000002, Kind: blob.KindSD},
			{Location: segments.Location{Segment: id, Slot: 2, Offset: 10 * 4096, Length: 5}, Seq: 0x3132333435363738, Time: 0x6a000003},
		}
		payloads := [][]byte{[]byte("prism"), []byte("{" + strings.Repeat("x", 4096)), []byte("prism")}
		for i, rec := range want {
			loc, ok := s.Reserve(rec.Length)
			if rec.CRC = segments.Checksum(payloads[i]); !ok || loc.Slot != rec.Slot || loc.Offset != rec.Offset {
				t.Fatalf("reserved %+v, want %+v", loc, rec.Location)
			}
			rec.Hash = blob.Sum(payloads[i])
			if err := s.Write(rec, payloads[i]); err != nil {
				t.Fatal(err)
			}
			want[i] = rec
		}
		if err := s.MarkDead(2); err != nil {
			t.Fatal(err)
		}
		want[2].Dead = true
		golden := goldenHeader + strings.Repeat("00", segments.HeaderSize-len(goldenHeader)/2) + goldenSlots
		if got := hex.EncodeToString(b.raw(t, b.path(id), 0, len(golden)/2)); got != golden {
			t.Errorf("\n got %s\nwant %s", squeeze(got), squeeze(golden))
		}
		mustHold(t, b.at(t, id), want, payloads)
	})
}

// TestGoldenBytesAreRead builds the file from the golden bytes alone: old segments stay readable.
func TestGoldenBytesAreRead(t *testing.T) {
	b := memBed(t)
	const id = 0x0102030405060708
	table, err := hex.DecodeString(goldenHeader + strings.Repeat("00", segments.HeaderSize-len(goldenHeader)/2) + goldenSlots)
	if err != nil {
		t.Fatal(err)
	}
	f, err := b.fs.Create(b.path(id))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for off, p := range map[int64]string{0: string(table), 7 * 4096: "prism", 8 * 4096: "{" + strings.Repeat("x", 4096)} {
		if _, err := f.WriteAt([]byte(p), off); err != nil {
			t.Fatal(err)
		}
	}
	s := b.at(t, id)
	if h, err := s.Header(); err != nil || h != header(id, 300) {
		t.Fatalf("%+v, %v", h, err)
	}
	recs, bad := scan(t, s, 0)
	if len(recs) != 3 || bad != 0 || recs[0].Dead || recs[1].Kind != blob.KindSD || !recs[2].Dead {
		t.Fatalf("%+v, %d bad", recs, bad)
	}
	for _, rec := range recs[:2] {
		if p, err := payload(s, rec); err != nil || blob.Sum(p) != rec.Hash {
			t.Errorf("payload of %d: %v", rec.Slot, err)
		}
	}
}

func squeeze(s string) string { return strings.ReplaceAll(s, strings.Repeat("00", 64), "") }

// resealHeader gives a header a right checksum again.
func resealHeader(b []byte) []byte {
	binary.LittleEndian.PutUint32(b[72:], crc32.Checksum(b[:72], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

func goldenHeaderBytes(t testing.TB) []byte {
	t.Helper()
	b, err := hex.DecodeString(goldenHeader)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseHeaderRules(t *testing.T) {
	le := binary.LittleEndian
	for name, c := range map[string]struct {
		change func(b []byte)
		want   error
	}{
		"as it is":         {func([]byte) {}, nil},
		"magic":            {func(b []byte) { b[7] = 'H' }, segments.ErrBadHeader},
		"version 0":        {func(b []byte) { b[8] = 0 }, segments.ErrBadHeader},
		"version 2":        {func(b []byte) { b[8] = 2 }, segments.ErrNewerVersion},
		"feature":          {func(b []byte) { b[15] = 0x80 }, segments.ErrNewerVersion},
		"id 0":             {func(b []byte) { le.PutUint64(b[32:], 0) }, segments.ErrBadHeader},
		"capacity 0":       {func(b []byte) { le.PutUint64(b[40:], 0) }, segments.ErrBadHeader},
		"capacity of 5":    {func(b []byte) { le.PutUint64(b[40:], 300<<12+5) }, segments.ErrBadHeader},
		"capacity is huge": {func(b []byte) { le.PutUint64(b[40:], 1<<63) }, segments.ErrBadHeader},
		"capacity grew":    {func(b []byte) { le.PutUint64(b[40:], 301<<12) }, segments.ErrBadHeader},
		"slots":            {func(b []byte) { le.PutUint32(b[48:], 299) }, segments.ErrBadHeader},
		"slot size":        {func(b []byte) { le.PutUint32(b[52:], 80) }, segments.ErrBadHeader},
		"first payload":    {func(b []byte) { le.PutUint64(b[56:], 0x8000) }, segments.ErrBadHeader},
	} {
		b := goldenHeaderBytes(t)
		c.change(b)
		if _, err := segments.ParseHeader(resealHeader(b)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	b := goldenHeaderBytes(t)
	for n := range len(b) {
		if _, err := segments.ParseHeader(b[:n]); !errors.Is(err, segments.ErrBadHeader) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	for bit := range 8 * len(b) {
		b[bit/8] ^= 1 << (bit % 8)
		if _, err := segments.ParseHeader(b); !errors.Is(err, segments.ErrBadHeader) {
			t.Errorf("bit %d flipped: %v", bit, err)
		}
		b[bit/8] ^= 1 << (bit % 8)
	}
}

func FuzzParseHeader(f *testing.F) {
	f.Add(goldenHeaderBytes(f), false)
	f.Add(goldenHeaderBytes(f)[:75], true)
	f.Add(make([]byte, segments.HeaderSize), true)
	f.Fuzz(func(t *testing.T, b []byte, seal bool) {
		if seal && len(b) >= 76 {
			b = bytes.Clone(b) // with a right checksum the fields are reached
			copy(b, "PRISMSEG")
			resealHeader(b)
		}
		h, err := segments.ParseHeader(b)
		if err != nil {
			if !errors.Is(err, segments.ErrBadHeader) && !errors.Is(err, segments.ErrNewerVersion) {
				t.Errorf("unnamed error %v", err)
			}
			return
		}
		end := segments.HeaderSize + int64(h.Slots())*segments.SlotSize
		if h.ID == 0 || h.Capacity <= 0 || int64(h.Slots()) != h.Capacity/segments.BlockSize || h.PayloadAt() < end ||
			h.PayloadAt()-end >= segments.BlockSize || h.PayloadAt()%segments.BlockSize != 0 || h.End() <= h.PayloadAt() {
			t.Errorf("accepted %+v", h)
		}
	})
}

// TestChecksumRead: it is Checksum, whatever the length.
func TestChecksumRead(t *testing.T) {
	p := content(1, 3*4096+17)
	for _, n := range []int{0, 1, 4095, 4096, 4097, 8192, len(p)} {
		if got, want := segments.ChecksumRead(p[:n]), segments.Checksum(p[:n]); got != want {
			t.Errorf("%d bytes: %08x, want %08x", n, got, want)
		}
	}
}

package mount

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"testing"
)

var example = Superblock{
	Version:     1,
	ID:          [16]byte{0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f},
	IndexFormat: 0x17,
	SegmentSize: 1 << 30,
	IDCeiling:   0x0102030405060708,
	Session:     [16]byte{0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff},
	Created:     0x6a000000,
}

const golden = "505249534d534547" + // magic
	"01000000" + "80000000" + // version, length
	"0000000000000000" + // features
	"101112131415161718191a1b1c1d1e1f" + // id
	"17000000" + "0000006a" + // index format, created
	"0000004000000000" + // segment size
	"0807060504030201" + // id ceiling
	"f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff" + // session
	"0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000" +
	"f474fced"

func TestGoldenBytes(t *testing.T) {
	if got := hex.EncodeToString(example.encode()); got != golden {
		t.Errorf("\n got %s\nwant %s", got, golden)
	}
	b, err := hex.DecodeString(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decodeSuperblock(b); err != nil || got != example {
		t.Errorf("%+v, %v", got, err)
	}
}

// reseal gives the block a right checksum again.
func reseal(b []byte) []byte {
	binary.LittleEndian.PutUint32(b[len(b)-4:], crc32.Checksum(b[:len(b)-4], castagnoli))
	return b
}

func TestVersionsToCome(t *testing.T) {
	newer := example.encode()
	newer[8] = 2
	longer := append(example.encode(), make([]byte, 72)...)
	longer[8] = 2
	binary.LittleEndian.PutUint32(longer[12:], uint32(len(longer)))
	feature := example
	feature.Incompatible = 1 << 63
	zero := example.encode()
	zero[8] = 0
	long1 := bytes.Clone(longer)
	long1[8] = 1
	size := example
	size.SegmentSize = -1
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"version":       {newer, ErrNewerVersion},
		"longer":        {longer, ErrNewerVersion},
		"feature":       {feature.encode(), ErrNewerVersion},
		"version 0":     {zero, ErrDamaged},
		"1, but longer": {long1, ErrDamaged},
		"segment size":  {size.encode(), ErrDamaged},
	} {
		if _, err := decodeSuperblock(reseal(c.b)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	newer[40] ^= 1 // newer and torn is torn: nobody can say what it was
	if _, err := decodeSuperblock(newer); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
}

func FuzzSuperblock(f *testing.F) {
	f.Add(example.encode(), false)
	f.Add([]byte(magic), true)
	f.Add(make([]byte, SuperblockSize), true)
	f.Fuzz(func(t *testing.T, b []byte, seal bool) {
		if seal && len(b) >= minSuperblock {
			b = bytes.Clone(b) // with a right checksum the fields are reached
			copy(b, magic)
			binary.LittleEndian.PutUint32(b[12:], uint32(len(b)))
			reseal(b)
		}
		s, err := decodeSuperblock(b)
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewerVersion) {
				t.Errorf("unnamed error %v", err)
			}
			return
		}
		again, err := decodeSuperblock(s.encode())
		if err != nil || again != s {
			t.Errorf("%+v came back as %+v, %v", s, again, err)
		}
	})
}

package liststest

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/btcsuite/btcd/wire/v2"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/OdyseeTeam/prism/blob"
)

// Tx is a transaction as a hub gives it.
type Tx struct{ ID, Hex string }

// Outpoint names an output of it.
func (t Tx) Outpoint(n int) string { return fmt.Sprintf("%s:%d", t.ID, n) }

// Transaction makes a transaction with these scripts in its outputs, in the form with witness data or without.
func Transaction(witness bool, scripts ...[]byte) Tx {
	tx := wire.NewMsgTx(1)
	in := wire.NewTxIn(&wire.OutPoint{Index: 7}, []byte("a signature"), nil)
	if witness {
		in.Witness = wire.TxWitness{[]byte("one"), []byte("two")}
	}
	tx.AddTxIn(in)
	for i, s := range scripts {
		tx.AddTxOut(wire.NewTxOut(int64(i), s))
	}
	var raw bytes.Buffer
	if err := tx.Serialize(&raw); err != nil {
		panic(err)
	}
	return Tx{ID: tx.TxHash().String(), Hex: hex.EncodeToString(raw.Bytes())}
}

// ClaimName is the script of a new claim.
func ClaimName(name string, value []byte) []byte {
	s := []byte{0xb5}
	s = appendPush(s, []byte(name))
	s = appendPush(s, value)
	return append(s, payTo()...)
}

// UpdateClaim is the script of a claim that replaces another one.
func UpdateClaim(name string, value []byte) []byte {
	s := []byte{0xb7}
	s = appendPush(s, []byte(name))
	s = appendPush(s, bytes.Repeat([]byte{9}, 20))
	s = appendPush(s, value)
	return append(s, payTo()...)
}

// payTo is what follows a claim: drop what it pushed, and pay to a key.
func payTo() []byte { return append([]byte{0x6d, 0x75, 0x76, 0xa9, 0x14}, make([]byte, 20)...) }

func appendPush(s, data []byte) []byte {
	switch n := len(data); {
	case n < 0x4c:
		s = append(s, byte(n))
	case n < 1<<8:
		s = append(s, 0x4c, byte(n))
	case n < 1<<16:
		s = binary.LittleEndian.AppendUint16(append(s, 0x4d), uint16(n))
	default:
		s = binary.LittleEndian.AppendUint32(append(s, 0x4e), uint32(n))
	}
	return append(s, data...)
}

// Unsigned is the value of a claim with a stream and without a channel.
func Unsigned(sd blob.Hash) []byte { return append([]byte{0}, streamOf(sd)...) }

// Signed is the value of a claim with a stream in a channel.
func Signed(sd blob.Hash) []byte {
	v := append([]byte{1}, bytes.Repeat([]byte{8}, 84)...)
	return append(v, streamOf(sd)...)
}

// JSON is the value of a claim in the oldest form.
func JSON(sd blob.Hash) []byte {
	return fmt.Appendf(nil, `{"ver":"0.0.3","title":"a","sources":{"lbry_sd_hash":"%s"},"content_type":"video/mp4"}`, sd)
}

// Older is the value of a claim in the older protobuf.
func Older(sd blob.Hash) []byte {
	source := field(nil, 3, sd[:])
	claim := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1)
	claim = protowire.AppendVarint(protowire.AppendTag(claim, 2, protowire.VarintType), 1)
	return field(claim, 3, field(nil, 3, source))
}

// Channel is the value of a claim without a stream.
func Channel() []byte { return append([]byte{0}, field(nil, 2, field(nil, 1, []byte("a key")))...) }

func streamOf(sd blob.Hash) []byte {
	source := field(nil, 2, []byte("name.mp4"))
	source = field(source, 6, sd[:])
	claim := field(nil, 1, field(nil, 1, source))
	return field(claim, 8, []byte("a title"))
}

// field appends a field of bytes.
func field(msg []byte, num protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(msg, num, protowire.BytesType), value)
}

package lists

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/btcsuite/btcd/wire/v2"
)

// errNotThat is a transaction that is another one than was asked for.
var errNotThat = errors.New("the transaction has another TXID")

// parseTransaction reads a transaction in either serialization and demands that its TXID is id. It gives the scripts of
// its outputs.
func parseTransaction(raw []byte, id txid) ([][]byte, error) {
	if err := checkCounts(raw); err != nil {
		return nil, err
	}
	var tx wire.MsgTx
	r := bytes.NewReader(raw)
	if err := tx.Deserialize(r); err != nil {
		return nil, fmt.Errorf("not a transaction: %w", err)
	}
	if r.Len() > 0 {
		return nil, fmt.Errorf("not a transaction: %d bytes too many", r.Len())
	}
	hash := tx.TxHash() // of the serialization without witness data
	slices.Reverse(hash[:])
	if txid(hash) != id {
		return nil, errNotThat
	}
	scripts := make([][]byte, len(tx.TxOut))
	for i, out := range tx.TxOut {
		scripts[i] = out.PkScript
	}
	return scripts, nil
}

// The least that an input and an output take.
const (
	minInput  = 36 + 1 + 4
	minOutput = 8 + 1
)

// checkCounts refuses a transaction that claims more inputs or outputs than its bytes can hold. The parser makes room
// for what is claimed before it reads it, and ten bytes could claim hundreds of megabytes.
func checkCounts(raw []byte) error {
	r := bytes.NewReader(raw)
	count := func(what string, least int) (uint64, error) {
		n, err := wire.ReadVarInt(r, 0)
		if err != nil || n > uint64(r.Len()/least) {
			return 0, fmt.Errorf("not a transaction: cut, or with %d %s in %d bytes", n, what, len(raw))
		}
		return n, nil
	}
	skip := func(n int64) { _, _ = r.Seek(n, io.SeekCurrent) }
	skip(4)
	if len(raw) > 5 && raw[4] == 0 {
		skip(2) // the mark of witness data
	}
	inputs, err := count("inputs", minInput)
	if err != nil {
		return err
	}
	for range inputs {
		skip(36)
		script, err := count("bytes of script", 1)
		if err != nil {
			return err
		}
		skip(int64(script) + 4)
	}
	_, err = count("outputs", minOutput)
	return err
}

package lists

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
)

// txid names a transaction. The bytes are in the order in which people write them, which is the reverse of the hash.
type txid [32]byte

func (t txid) String() string { return hex.EncodeToString(t[:]) }

// outpoint is one output of a transaction.
type outpoint struct {
	tx  txid
	out uint32
}

var errOutpoint = errors.New("not TXID:NOUT")

// parseOutpoint reads TXID:NOUT.
func parseOutpoint(s string) (outpoint, error) {
	var o outpoint
	tx, out, ok := strings.Cut(s, ":")
	if !ok || len(tx) != hex.EncodedLen(len(o.tx)) {
		return o, errOutpoint
	}
	if _, err := hex.Decode(o.tx[:], []byte(tx)); err != nil {
		return o, errOutpoint
	}
	n, err := strconv.ParseUint(out, 10, 32)
	if err != nil {
		return o, errOutpoint
	}
	o.out = uint32(n)
	return o, nil
}

func compareOutpoints(a, b outpoint) int {
	if c := bytes.Compare(a.tx[:], b.tx[:]); c != 0 {
		return c
	}
	return cmp.Compare(a.out, b.out)
}

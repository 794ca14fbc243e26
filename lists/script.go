package lists

import (
	"encoding/binary"
	"errors"
)

// The operations that matter in a script of LBRY.
const (
	opPushData1   = 0x4c
	opPushData2   = 0x4d
	opPushData4   = 0x4e
	opClaimName   = 0xb5
	opUpdateClaim = 0xb7
)

var errNoClaim = errors.New("the script holds no claim")

// claimValue is the value of the claim that an output's script makes or updates.
func claimValue(script []byte) ([]byte, error) {
	if len(script) == 0 {
		return nil, errNoClaim
	}
	var pushes int
	switch script[0] {
	case opClaimName: // name, value
		pushes = 2
	case opUpdateClaim: // name, claim id, value
		pushes = 3
	default:
		return nil, errNoClaim
	}
	var value []byte
	rest := script[1:]
	for range pushes {
		var ok bool
		if value, rest, ok = push(rest); !ok {
			return nil, errNoClaim
		}
	}
	return value, nil
}

// push takes one push of data off a script.
func push(script []byte) (data, rest []byte, ok bool) {
	if len(script) == 0 {
		return nil, nil, false
	}
	op, rest := script[0], script[1:]
	var n uint64
	switch {
	case op < opPushData1:
		n = uint64(op)
	case op == opPushData1 && len(rest) >= 1:
		n, rest = uint64(rest[0]), rest[1:]
	case op == opPushData2 && len(rest) >= 2:
		n, rest = uint64(binary.LittleEndian.Uint16(rest)), rest[2:]
	case op == opPushData4 && len(rest) >= 4:
		n, rest = uint64(binary.LittleEndian.Uint32(rest)), rest[4:]
	default:
		return nil, nil, false
	}
	if n > uint64(len(rest)) {
		return nil, nil, false
	}
	return rest[:n], rest[n:], true
}

package lists

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/OdyseeTeam/prism/blob"
)

// errNoStream is a claim that publishes no stream: a channel, a list, a repost.
var errNoStream = errors.New("the claim has no stream")

// The forms of a claim's value, by its first byte. Any other byte begins the older protobuf.
const (
	formUnsigned = 0x00
	formSigned   = 0x01
	formJSON     = '{'

	channelAndSignature = 20 + 64
)

// sdHash is the hash of the SD blob that a claim names. errNoStream, or another error for a value that cannot be read.
func sdHash(value []byte) (blob.Hash, error) {
	if len(value) == 0 {
		return blob.Hash{}, errNoStream
	}
	switch value[0] {
	case formUnsigned:
		return streamHash(value[1:])
	case formSigned:
		if len(value) < 1+channelAndSignature {
			return blob.Hash{}, errors.New("the claim ends within its signature")
		}
		return streamHash(value[1+channelAndSignature:])
	case formJSON:
		return jsonHash(value)
	}
	return olderHash(value)
}

// streamHash is stream (1) → source (1) → sd_hash (6).
func streamHash(msg []byte) (blob.Hash, error) {
	found, err := lookUp(msg, 1, 1, 6)
	return asHash(found, err)
}

// olderHash is stream (3) → source (3) → sd_hash (3), of a claim whose type (2) is stream.
func olderHash(msg []byte) (blob.Hash, error) {
	const typeStream = 1
	kind := uint64(0)
	err := eachField(msg, func(num protowire.Number, typ protowire.Type, value []byte) error {
		if num == 2 && typ == protowire.VarintType {
			kind, _ = protowire.ConsumeVarint(value)
		}
		return nil
	})
	if err == nil && kind != typeStream {
		return blob.Hash{}, errNoStream
	}
	found, err := lookUp(msg, 3, 3, 3)
	return asHash(found, err)
}

func asHash(found []byte, err error) (blob.Hash, error) {
	switch {
	case err != nil:
		return blob.Hash{}, err
	case len(found) == 0:
		return blob.Hash{}, errNoStream
	case len(found) != blob.HashSize:
		return blob.Hash{}, fmt.Errorf("an SD hash of %d bytes", len(found))
	}
	return blob.Hash(found), nil
}

// jsonHash is sources.lbry_sd_hash, in hex. Some of these claims were written by hand, so upper case is taken too.
func jsonHash(value []byte) (blob.Hash, error) {
	var claim struct {
		Sources struct {
			SDHash string `json:"lbry_sd_hash"`
		} `json:"sources"`
	}
	if err := json.Unmarshal(value, &claim); err != nil {
		return blob.Hash{}, fmt.Errorf("a claim in JSON: %w", err)
	}
	if claim.Sources.SDHash == "" {
		return blob.Hash{}, errNoStream
	}
	return blob.ParseHash(strings.ToLower(claim.Sources.SDHash))
}

// lookUp is the value at the end of a path of field numbers, all but the last being messages. A field that is there twice
// counts as protobuf says: messages merge, and of values the last stays. nil: there is none.
func lookUp(msg []byte, path ...protowire.Number) ([]byte, error) {
	var found []byte
	err := eachField(msg, func(num protowire.Number, typ protowire.Type, value []byte) error {
		if num != path[0] || typ != protowire.BytesType {
			return nil
		}
		v, _ := protowire.ConsumeBytes(value)
		if len(path) > 1 {
			var err error
			if v, err = lookUp(v, path[1:]...); err != nil || v == nil {
				return err
			}
		}
		found = v
		return nil
	})
	return found, err
}

// eachField calls fn for the fields of a message, with a value that is whole.
func eachField(msg []byte, fn func(protowire.Number, protowire.Type, []byte) error) error {
	for len(msg) > 0 {
		num, typ, n := protowire.ConsumeTag(msg)
		if n < 0 {
			return fmt.Errorf("a claim in protobuf: %w", protowire.ParseError(n))
		}
		msg = msg[n:]
		n = protowire.ConsumeFieldValue(num, typ, msg)
		if n < 0 {
			return fmt.Errorf("a claim in protobuf: %w", protowire.ParseError(n))
		}
		if err := fn(num, typ, msg[:n]); err != nil {
			return err
		}
		msg = msg[n:]
	}
	return nil
}

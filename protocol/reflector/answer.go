package reflector

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/OdyseeTeam/prism/blob"
)

// MaxNeeded is how many hashes an answer has room for. More than an SD blob can list.
const MaxNeeded = (MaxAnswer - len(`{"send_sd_blob":false,"needed_blobs":[]}`)) / (len(`"",`) + blob.HexSize)

// Offer is the answer to a request.
type Offer struct {
	Send   bool        // the client is to send the blob
	Needed []blob.Hash // for an SD blob that is not wanted: what the stream lacks
}

// AppendOffer appends the answer to a request for a blob of that kind. Needed counts only where the protocol has a place
// for it; hashes beyond MaxNeeded are left out, and the client learns of them when it asks again.
func AppendOffer(dst []byte, kind blob.Kind, o Offer) []byte {
	if kind != blob.KindSD {
		return appendBool(dst, "send_blob", o.Send)
	}
	dst = appendBool(dst, "send_sd_blob", o.Send)
	if o.Send || len(o.Needed) == 0 {
		return dst
	}
	dst = append(dst[:len(dst)-1], `,"needed_blobs":[`...)
	for i, h := range o.Needed[:min(len(o.Needed), MaxNeeded)] {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		dst = h.AppendHex(dst)
		dst = append(dst, '"')
	}
	return append(dst, `]}`...)
}

// AppendReceipt appends what follows a body. A server never sends false for an SD blob.
func AppendReceipt(dst []byte, kind blob.Kind, received bool) []byte {
	return appendBool(dst, receiptKey(kind), received)
}

// ParseOffer reads the answer to a request for a blob of that kind. Errors: ErrSyntax, blob.ErrInvalidHash.
func ParseOffer(object []byte, kind blob.Kind) (Offer, error) {
	keys, err := keysOf(object)
	if err != nil {
		return Offer{}, err
	}
	if kind != blob.KindSD {
		send, err := parseBool(keys, "send_blob")
		return Offer{Send: send}, err
	}
	var o Offer
	if o.Send, err = parseBool(keys, "send_sd_blob"); err != nil {
		return Offer{}, err
	}
	var texts []string
	if raw := keys["needed_blobs"]; raw != nil && !o.Send {
		if err := json.Unmarshal(raw, &texts); err != nil {
			return Offer{}, fmt.Errorf("%w: needed_blobs: %w", ErrSyntax, err)
		}
	}
	for _, text := range texts {
		h, err := blob.ParseHash(text)
		if err != nil {
			return Offer{}, fmt.Errorf("needed_blobs: %w", err)
		}
		o.Needed = append(o.Needed, h)
	}
	return o, nil
}

// ParseReceipt reads what follows a body. Errors: ErrSyntax.
func ParseReceipt(object []byte, kind blob.Kind) (received bool, err error) {
	keys, err := keysOf(object)
	if err != nil {
		return false, err
	}
	return parseBool(keys, receiptKey(kind))
}

func receiptKey(kind blob.Kind) string {
	if kind == blob.KindSD {
		return "received_sd_blob"
	}
	return "received_blob"
}

func appendBool(dst []byte, key string, value bool) []byte {
	dst = append(append(append(dst, `{"`...), key...), `":`...)
	return append(strconv.AppendBool(dst, value), '}')
}

func parseBool(keys map[string]json.RawMessage, key string) (bool, error) {
	switch string(keys[key]) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%w: no %s", ErrSyntax, key)
}

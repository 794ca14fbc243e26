package peer

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/OdyseeTeam/prism/blob"
)

// Rate is what a server says to the rate that a client offers. Nothing is paid.
type Rate uint8

// The answers to a rate.
const (
	RateNone     Rate = iota // none was offered
	RateAccepted             // 0 or more
	RateTooLow               // less than 0
)

// Request is what a client asks for.
type Request struct {
	// Wanted are the hashes of requested_blobs, in order and without repeats. What is no hash was left out.
	Wanted []blob.Hash
	// Blob is requested_blob, if there is one.
	Blob    blob.Hash
	HasBlob bool
	// Rate is the answer to blob_data_payment_rate.
	Rate Rate
}

// ParseRequest reads a message from a client. Errors: ErrSyntax; ErrMalformed for values of the wrong kind;
// blob.ErrInvalidHash for a requested_blob that is none. They do not echo the message, which comes from strangers.
func ParseRequest(message []byte) (Request, error) {
	var r Request
	err := members(message, r.set)
	if err != nil {
		return Request{}, err
	}
	return r, nil
}

func (r *Request) set(key string, value []byte) error {
	switch key {
	case "requested_blobs":
		if value[0] != '[' {
			return malformed(key, "a list")
		}
		r.Wanted = hashesOf(value)
	case "requested_blob":
		if !isText(value) {
			return malformed(key, "a string")
		}
		h, err := blob.ParseHash(textOf(value))
		if err != nil {
			return fmt.Errorf("peer: requested_blob: %w", err)
		}
		r.Blob, r.HasBlob = h, true
	case "blob_data_payment_rate":
		if value[0] != '-' && (value[0] < '0' || value[0] > '9') {
			return malformed(key, "a number")
		}
		r.Rate = RateAccepted
		if isNegative(value) {
			r.Rate = RateTooLow
		}
	case "lbrycrd_address":
		if s := string(value); s != "true" && s != "false" {
			return malformed(key, "true or false")
		}
	}
	return nil
}

// isNegative says whether a number is below zero, however large it is. Minus zero is not.
func isNegative(number []byte) bool {
	digits, minus := bytes.CutPrefix(number, []byte("-"))
	if !minus {
		return false
	}
	mantissa, _, _ := bytes.Cut(bytes.ToLower(digits), []byte("e"))
	return bytes.ContainsAny(mantissa, "123456789")
}

// hashesOf are the hashes in a list, without repeats.
func hashesOf(list []byte) []blob.Hash {
	var out []blob.Hash
	var have map[blob.Hash]struct{} // once there are many
	elements(list, func(value []byte) {
		if !isText(value) {
			return
		}
		h, err := blob.ParseHash(textOf(value))
		if err != nil {
			return
		}
		if len(out) < few {
			if !slices.Contains(out, h) {
				out = append(out, h)
			}
			return
		}
		if have == nil {
			have = make(map[blob.Hash]struct{}, 2*few)
			for _, h := range out {
				have[h] = struct{}{}
			}
		}
		if _, twice := have[h]; !twice {
			have[h] = struct{}{}
			out = append(out, h)
		}
	})
	return out
}

// few hashes are compared one by one.
const few = 8

// Append appends the request as our own client sends it: without blanks, in the order of the package comment. Its address
// is asked for too: servers of the SDK do not answer about a single blob that they lack unless something else is asked.
func (r *Request) Append(dst []byte) []byte {
	dst = append(dst, '{')
	if len(r.Wanted) > 0 {
		dst = append(dst, `"requested_blobs":`...)
		dst = appendHashes(dst, r.Wanted)
		dst = append(dst, ',')
	}
	dst = append(dst, `"lbrycrd_address":true`...)
	switch r.Rate {
	case RateNone:
	case RateAccepted:
		dst = append(dst, `,"blob_data_payment_rate":0.0`...)
	case RateTooLow:
		dst = append(dst, `,"blob_data_payment_rate":-1.0`...)
	}
	if r.HasBlob {
		dst = append(dst, `,"requested_blob":`...)
		dst = appendHash(dst, r.Blob)
	}
	return append(dst, '}')
}

func appendHashes(dst []byte, hashes []blob.Hash) []byte {
	dst = append(dst, '[')
	for i, h := range hashes {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendHash(dst, h)
	}
	return append(dst, ']')
}

func appendHash(dst []byte, h blob.Hash) []byte {
	dst = append(dst, '"')
	dst = h.AppendHex(dst)
	return append(dst, '"')
}

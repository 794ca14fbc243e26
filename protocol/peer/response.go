package peer

import (
	"encoding/json"
	"strconv"

	"github.com/OdyseeTeam/prism/blob"
)

// Address is the payment address that servers give. Nothing is paid to it.
const Address = "bJxKvpD96kaJLriqVajZ7SaQTsWWyrGQct"

// NotFound is the error of an incoming blob that a server does not have.
const NotFound = "blob not found"

// Response is what a server answers.
type Response struct {
	// Available are the hashes of requested_blobs that are there.
	Available []blob.Hash
	Rate      Rate
	// Incoming says what came of requested_blob; nil when there was none.
	Incoming *Incoming
}

// Incoming is a blob whose bytes follow the message, or why none do.
type Incoming struct {
	Hash   blob.Hash
	Length int64  // of the bytes that follow, as the server says
	Error  string // "" when the blob follows; then Hash and Length are 0
}

// Append appends the answer, byte for byte as deployed clients know it.
func (r *Response) Append(dst []byte) []byte {
	dst = append(dst, `{"lbrycrd_address":"`+Address+`","available_blobs":`...)
	dst = appendHashes(dst, r.Available)
	switch r.Rate {
	case RateNone:
	case RateAccepted:
		dst = append(dst, `,"blob_data_payment_rate":"`+rateAccepted+`"`...)
	case RateTooLow:
		dst = append(dst, `,"blob_data_payment_rate":"`+rateTooLow+`"`...)
	}
	if in := r.Incoming; in != nil {
		dst = append(dst, `,"incoming_blob":{`...)
		if in.Error != "" {
			text, _ := json.Marshal(in.Error) // strings do not fail
			dst = append(dst, `"error":`...)
			dst = append(dst, text...)
			dst = append(dst, `,"blob_hash":"","length":0}`...)
		} else {
			dst = append(dst, `"blob_hash":`...)
			dst = appendHash(dst, in.Hash)
			dst = append(dst, `,"length":`...)
			dst = strconv.AppendInt(dst, in.Length, 10)
			dst = append(dst, '}')
		}
	}
	return append(dst, '}')
}

const (
	rateAccepted = "RATE_ACCEPTED"
	rateTooLow   = "RATE_TOO_LOW"
)

// ParseResponse reads a server's answer: keys in any order, unknown ones ignored, as other servers send them. Errors:
// ErrSyntax, ErrMalformed.
func ParseResponse(message []byte) (Response, error) {
	var r Response
	if err := members(message, r.set); err != nil {
		return Response{}, err
	}
	return r, nil
}

func (r *Response) set(key string, value []byte) error {
	switch key {
	case "available_blobs":
		if value[0] != '[' {
			return malformed(key, "a list")
		}
		r.Available = hashesOf(value)
	case "blob_data_payment_rate":
		r.Rate = RateNone
		switch string(value) {
		case `"` + rateAccepted + `"`:
			r.Rate = RateAccepted
		case `"` + rateTooLow + `"`:
			r.Rate = RateTooLow
		}
	case "incoming_blob":
		if value[0] != '{' {
			return malformed(key, "an object")
		}
		in, err := parseIncoming(value)
		if err != nil {
			return err
		}
		r.Incoming = in
	}
	return nil
}

// parseIncoming reads incoming_blob. An error that is there counts, whatever it says and whatever stands beside it.
func parseIncoming(object []byte) (*Incoming, error) {
	in := &Incoming{}
	var hash string
	hasHash, hasLength := false, false
	err := members(object, func(key string, value []byte) error {
		switch key {
		case "error":
			in.Error = "an error without a text"
			if isText(value) && len(value) > 2 {
				in.Error = textOf(value)
			}
		case "blob_hash":
			if !isText(value) {
				return malformed(key, "a string")
			}
			hash, hasHash = textOf(value), true
		case "length":
			n, err := strconv.ParseInt(string(value), 10, 64)
			if err != nil {
				return malformed(key, "a number of bytes")
			}
			in.Length, hasLength = n, true
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if in.Error != "" {
		return &Incoming{Error: in.Error}, nil
	}
	if in.Hash, err = blob.ParseHash(hash); err != nil || !hasHash || !hasLength {
		return nil, malformed("incoming_blob", "a hash and a length, or an error")
	}
	return in, nil
}

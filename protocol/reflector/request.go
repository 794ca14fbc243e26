package reflector

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/OdyseeTeam/prism/blob"
)

// Request offers a blob.
type Request struct {
	Kind blob.Kind // KindSD when the request came with SD keys
	Hash blob.Hash
	Size int64 // 1 to blob.MaxSize
}

// ParseVersion reads a handshake, of a client or a server: 0 or 1. Errors: ErrVersion, also when there is no version;
// ErrSyntax.
func ParseVersion(object []byte) (int, error) {
	keys, err := keysOf(object)
	if err != nil {
		return 0, err
	}
	switch string(keys["version"]) {
	case "0":
		return 0, nil
	case "1":
		return 1, nil
	}
	return 0, ErrVersion
}

// AppendVersion appends a handshake, which both sides write alike.
func AppendVersion(dst []byte, version int) []byte {
	dst = append(dst, `{"version":`...)
	dst = strconv.AppendInt(dst, int64(version), 10)
	return append(dst, '}')
}

// ParseRequest reads what a client sends after the handshake. An SD hash wins over a content hash beside it; an empty
// one, or null, is none. Errors: ErrSyntax, ErrSize, blob.ErrInvalidHash.
func ParseRequest(object []byte) (Request, error) {
	keys, err := keysOf(object)
	if err != nil {
		return Request{}, err
	}
	r, hash, size := Request{Kind: blob.KindSD}, keys["sd_blob_hash"], keys["sd_blob_size"]
	if s := string(hash); s == "" || s == `""` || s == "null" {
		r.Kind, hash, size = blob.KindContent, keys["blob_hash"], keys["blob_size"]
	}
	if hash == nil {
		return Request{}, fmt.Errorf("%w: it offers no blob", ErrSyntax)
	}
	if r.Hash, err = parseHash(hash); err != nil {
		return Request{}, err
	}
	if r.Size, err = parseSize(size); err != nil {
		return Request{}, err
	}
	return r, nil
}

// AppendRequest appends a request.
func AppendRequest(dst []byte, r Request) []byte {
	prefix := ""
	if r.Kind == blob.KindSD {
		prefix = "sd_"
	}
	dst = append(append(append(dst, `{"`...), prefix...), `blob_hash":"`...)
	dst = r.Hash.AppendHex(dst)
	dst = append(append(append(dst, `","`...), prefix...), `blob_size":`...)
	dst = strconv.AppendInt(dst, r.Size, 10)
	return append(dst, '}')
}

// keysOf is an object's keys and values. Of a key that is there twice the last counts.
func keysOf(object []byte) (map[string]json.RawMessage, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(object, &keys); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	if keys == nil {
		return nil, fmt.Errorf("%w: null", ErrSyntax)
	}
	return keys, nil
}

func parseHash(raw json.RawMessage) (blob.Hash, error) {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return blob.Hash{}, fmt.Errorf("%w: %w", blob.ErrInvalidHash, err)
	}
	return blob.ParseHash(text)
}

// parseSize reads a number that is written as an integer.
func parseSize(raw json.RawMessage) (int64, error) {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange) && raw[0] != '-', err == nil && n > blob.MaxSize:
		return 0, fmt.Errorf("%w: %w", ErrSize, blob.ErrTooBig)
	case err != nil || n < 0:
		return 0, ErrSize
	case n == 0:
		return 0, fmt.Errorf("%w: %w", ErrSize, blob.ErrEmpty)
	}
	return n, nil
}

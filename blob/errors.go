package blob

import "errors"

// The errors that callers branch on, with errors.Is. Whoever returns one may wrap it with where and why.
var (
	// ErrNotFound: the blob is not here. It is the only error that means so.
	ErrNotFound = errors.New("blob not found")
	// ErrInvalidHash: the text is not the wire form of a hash.
	ErrInvalidHash = errors.New("invalid blob hash")
	// ErrCorrupt: the bytes do not match their name, or their checksum.
	ErrCorrupt = errors.New("blob is corrupt")
	// ErrTooBig: more than MaxSize bytes.
	ErrTooBig = errors.New("blob is larger than 2 MiB")
	// ErrEmpty: no bytes; no blob is empty.
	ErrEmpty = errors.New("blob is empty")
	// ErrFull: a store has no room for the blob now. What it was to hold can still pass through.
	ErrFull = errors.New("store is full")
	// ErrUnavailable: the store cannot answer now (a dead disk, a closed store, an origin that is down). It says
	// nothing about whether the blob exists.
	ErrUnavailable = errors.New("store is unavailable")
	// ErrBusy: too many requests wait already; ask again later.
	ErrBusy = errors.New("too many requests are waiting")
	// ErrProtected: the blob is served to holders of a token only.
	ErrProtected = errors.New("requested blob is protected")
)

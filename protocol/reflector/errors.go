package reflector

import "errors"

// What is wrong with a message. Beside these, a malformed hash is blob.ErrInvalidHash.
var (
	// ErrSyntax: not a JSON object, or a key has a value of the wrong type.
	ErrSyntax = errors.New("not a message of the upload protocol")
	// ErrTooLong: an object above its limit, MaxMessage or MaxAnswer.
	ErrTooLong = errors.New("message is too long")
	// ErrVersion: a handshake for another version than 0 and 1.
	ErrVersion = errors.New("protocol version is neither 0 nor 1")
	// ErrSize: a size that no blob has. Also blob.ErrEmpty for 0 and blob.ErrTooBig above blob.MaxSize.
	ErrSize = errors.New("size is not that of a blob")
)

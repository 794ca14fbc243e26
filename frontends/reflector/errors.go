package reflector

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/OdyseeTeam/prism/blob"
	wire "github.com/OdyseeTeam/prism/protocol/reflector"
	"github.com/OdyseeTeam/prism/protocol/stream"
)

// errorType is an index into errorTypes.
type errorType uint8

// The kinds of errors that this frontend can tell apart.
const (
	errOther errorType = iota
	errNotFound
	errInvalidHash
	errHashMismatch
	errTooBig
	errZeroByte
	errSyntax
	errTooLarge
	errDeadline
	errIOTimeout
	errUnexpectedEOF
	errConnReset
	errReadConnReset
	errWriteConnReset
	errTimedOut
	errReadTimedOut
	errWriteTimedOut
	errPipe
	errWriteBrokenPipe
	errorTypeCount
)

// errorTypes are the names that dashboards know them by.
var errorTypes = [errorTypeCount]string{
	"other", "blob_not_found", "invalid_blob_hash", "hash_mismatch", "blob_too_big", "zero_byte_blob", "json_syntax",
	"request_too_large", "deadline_exceeded", "io_timeout", "unexpected_eof", "conn_reset", "read_conn_reset",
	"write_conn_reset", "e_timedout", "read_conn_timed_out", "write_conn_timed_out", "e_pipe", "write_broken_pipe",
}

// typeOf sorts an error.
func typeOf(err error) errorType {
	for _, known := range []struct {
		is   error
		kind errorType
	}{
		{blob.ErrNotFound, errNotFound},
		{blob.ErrInvalidHash, errInvalidHash},
		{blob.ErrCorrupt, errHashMismatch},
		{blob.ErrTooBig, errTooBig},
		{blob.ErrEmpty, errZeroByte},
		{wire.ErrSyntax, errSyntax},
		{stream.ErrNotSD, errSyntax},
		{wire.ErrTooLong, errTooLarge},
		{context.DeadlineExceeded, errDeadline},
		{os.ErrDeadlineExceeded, errIOTimeout},
		{io.ErrUnexpectedEOF, errUnexpectedEOF},
	} {
		if errors.Is(err, known.is) {
			return known.kind
		}
	}
	switch {
	case errors.Is(err, syscall.ECONNRESET):
		return byDirection(err, errConnReset, errReadConnReset, errWriteConnReset)
	case errors.Is(err, syscall.ETIMEDOUT):
		return byDirection(err, errTimedOut, errReadTimedOut, errWriteTimedOut)
	case errors.Is(err, syscall.EPIPE):
		return byDirection(err, errPipe, errPipe, errWriteBrokenPipe)
	}
	return errOther
}

// byDirection picks by the operation of a net.Conn that failed.
func byDirection(err error, unknown, read, write errorType) errorType {
	var op *net.OpError
	if !errors.As(err, &op) {
		return unknown
	}
	switch op.Op {
	case "read":
		return read
	case "write":
		return write
	}
	return unknown
}

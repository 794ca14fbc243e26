package httpd

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"

	"github.com/OdyseeTeam/prism/blob"
)

// retryAfter is what a 503 asks for, in seconds.
const retryAfter = "1"

// statusOf is the answer to an error of the store, the gate, the queue or the parser. Not found is said only where the
// error says so; a store that cannot tell is asked again (503), and what a store or an origin got wrong is 502.
func statusOf(err error) int {
	switch {
	case errors.Is(err, blob.ErrInvalidHash), errors.Is(err, errBadQuery):
		return http.StatusBadRequest
	case errors.Is(err, blob.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, blob.ErrProtected):
		return http.StatusForbidden
	case errors.Is(err, blob.ErrBusy):
		return http.StatusServiceUnavailable
	case isTimeout(err):
		return http.StatusGatewayTimeout
	case errors.Is(err, blob.ErrUnavailable), errors.Is(err, blob.ErrFull), errors.Is(err, context.Canceled):
		return http.StatusServiceUnavailable
	}
	return http.StatusBadGateway
}

func isTimeout(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

// The errors of a connection that a Handler's server knows better than it, wrapped by those of http.ResponseWriter.Write.
var (
	ErrNoActivity = errors.New("no network activity")
	ErrProtocol   = errors.New("protocol violation")
)

// errorType is an index into errorTypes.
type errorType uint8

// The kinds of errors that this frontend can tell apart.
const (
	errOther errorType = iota
	errNotFound
	errProtected
	errInvalidHash
	errHashMismatch
	errTooBig
	errZeroByte
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
	errNoActivity
	errProtocol
	errorTypeCount
)

// errorTypes are the names that dashboards know them by.
var errorTypes = [errorTypeCount]string{
	"other", "blob_not_found", "protected_blob", "invalid_blob_hash", "hash_mismatch", "blob_too_big",
	"zero_byte_blob", "deadline_exceeded", "io_timeout", "unexpected_eof", "conn_reset", "read_conn_reset",
	"write_conn_reset", "e_timedout", "read_conn_timed_out", "write_conn_timed_out", "e_pipe", "write_broken_pipe",
	"no_network_activity", "quic_protocol_violation",
}

// typeOf sorts an error.
func typeOf(err error) errorType {
	for _, known := range []struct {
		is   error
		kind errorType
	}{
		{blob.ErrNotFound, errNotFound},
		{blob.ErrProtected, errProtected},
		{blob.ErrInvalidHash, errInvalidHash},
		{blob.ErrCorrupt, errHashMismatch},
		{blob.ErrTooBig, errTooBig},
		{blob.ErrEmpty, errZeroByte},
		{context.DeadlineExceeded, errDeadline},
		{os.ErrDeadlineExceeded, errIOTimeout},
		{io.ErrUnexpectedEOF, errUnexpectedEOF},
		{ErrNoActivity, errNoActivity},
		{ErrProtocol, errProtocol},
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

// byDirection picks by the system call, or by the operation of a net.Conn, that failed.
func byDirection(err error, unknown, read, write errorType) errorType {
	var call *os.SyscallError
	var op *net.OpError
	name := ""
	switch {
	case errors.As(err, &op):
		name = op.Op
	case errors.As(err, &call):
		name = call.Syscall
	}
	switch name {
	case "read":
		return read
	case "write", "raw-write":
		return write
	}
	return unknown
}

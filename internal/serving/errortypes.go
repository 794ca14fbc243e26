package serving

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"

	"github.com/OdyseeTeam/prism/blob"
)

// ErrorType is a kind of errors that dashboards tell apart.
type ErrorType struct {
	Is   error  // what such an error wraps
	Name string // the value of error_type
}

// other is the type of what is of no other type.
const other = "other"

// common are the types that every server of blobs meets.
var common = [...]ErrorType{
	{blob.ErrNotFound, "blob_not_found"},
	{blob.ErrProtected, "protected_blob"},
	{blob.ErrInvalidHash, "invalid_blob_hash"},
	{blob.ErrCorrupt, "hash_mismatch"},
	{blob.ErrTooBig, "blob_too_big"},
	{blob.ErrEmpty, "zero_byte_blob"},
	{context.DeadlineExceeded, "deadline_exceeded"},
	{os.ErrDeadlineExceeded, "io_timeout"},
	{io.ErrUnexpectedEOF, "unexpected_eof"},
}

// byCall are types that also depend on which call failed.
var byCall = [...]struct {
	is                   error
	unknown, read, write string
}{
	{syscall.ECONNRESET, "conn_reset", "read_conn_reset", "write_conn_reset"},
	{syscall.ETIMEDOUT, "e_timedout", "read_conn_timed_out", "write_conn_timed_out"},
	{syscall.EPIPE, "e_pipe", "e_pipe", "write_broken_pipe"},
}

// ErrorCounts counts errors by type. It is safe for concurrent use.
type ErrorCounts struct {
	own    []ErrorType
	counts map[string]*atomic.Uint64
}

// NewErrorCounts has the types that every server meets, and own, which come first.
func NewErrorCounts(own ...ErrorType) *ErrorCounts {
	e := &ErrorCounts{own: own, counts: map[string]*atomic.Uint64{other: {}}}
	for _, t := range append(own, common[:]...) {
		e.counts[t.Name] = &atomic.Uint64{}
	}
	for _, t := range byCall {
		for _, name := range [...]string{t.unknown, t.read, t.write} {
			e.counts[name] = &atomic.Uint64{}
		}
	}
	return e
}

// Count counts err.
func (e *ErrorCounts) Count(err error) { e.counts[e.typeOf(err)].Add(1) }

// Snapshot is how often each type came so far; every type is there from the start.
func (e *ErrorCounts) Snapshot() map[string]uint64 {
	out := make(map[string]uint64, len(e.counts))
	for name, n := range e.counts {
		out[name] = n.Load()
	}
	return out
}

func (e *ErrorCounts) typeOf(err error) string {
	for _, t := range e.own {
		if errors.Is(err, t.Is) {
			return t.Name
		}
	}
	for _, t := range common {
		if errors.Is(err, t.Is) {
			return t.Name
		}
	}
	for _, t := range byCall {
		if errors.Is(err, t.is) {
			switch callOf(err) {
			case "read":
				return t.read
			case "write", "writev", "raw-write":
				return t.write
			}
			return t.unknown
		}
	}
	return other
}

// callOf is the system call, or the operation of a net.Conn, that failed.
func callOf(err error) string {
	var call *os.SyscallError
	var op *net.OpError
	switch {
	case errors.As(err, &op):
		return op.Op
	case errors.As(err, &call):
		return call.Syscall
	}
	return ""
}

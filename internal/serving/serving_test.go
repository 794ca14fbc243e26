package serving_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/serving"
)

func TestErrorTypes(t *testing.T) {
	own := errors.New("own")
	e := serving.NewErrorCounts(serving.ErrorType{Is: own, Name: "own_type"})
	f := func(err error, want string) {
		t.Helper()
		before := e.Snapshot()
		e.Count(fmt.Errorf("wrapped: %w", err))
		for name, n := range e.Snapshot() {
			if got := n - before[name]; (got == 1) != (name == want) {
				t.Errorf("%v: %s went up by %d", err, name, got)
			}
		}
	}
	f(own, "own_type")
	f(errors.Join(blob.ErrInvalidHash, own), "own_type")
	f(blob.ErrNotFound, "blob_not_found")
	f(blob.ErrProtected, "protected_blob")
	f(blob.ErrInvalidHash, "invalid_blob_hash")
	f(blob.ErrCorrupt, "hash_mismatch")
	f(blob.ErrTooBig, "blob_too_big")
	f(blob.ErrEmpty, "zero_byte_blob")
	f(context.DeadlineExceeded, "deadline_exceeded")
	f(os.ErrDeadlineExceeded, "io_timeout")
	f(io.ErrUnexpectedEOF, "unexpected_eof")
	f(syscall.ECONNRESET, "conn_reset")
	f(os.NewSyscallError("read", syscall.ECONNRESET), "read_conn_reset")
	f(&net.OpError{Op: "write", Err: syscall.ECONNRESET}, "write_conn_reset")
	f(os.NewSyscallError("write", syscall.EPIPE), "write_broken_pipe")
	f(syscall.EPIPE, "e_pipe")
	f(syscall.ETIMEDOUT, "e_timedout")
	f(&net.OpError{Op: "read", Err: syscall.ETIMEDOUT}, "read_conn_timed_out")
	f(os.NewSyscallError("write", syscall.ETIMEDOUT), "write_conn_timed_out")
	f(blob.ErrUnavailable, "other")
}

func TestSlots(t *testing.T) {
	s := serving.NewSlots(1, 1, time.Minute)
	if err := s.Acquire(t.Context()); err != nil || s.InUse() != 1 {
		t.Fatal(err, s.InUse())
	}
	ctx, cancel := context.WithCancel(t.Context())
	waited := make(chan error, 1)
	go func() { waited <- s.Acquire(ctx) }()
	for s.Waiting() == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := s.Acquire(t.Context()); !errors.Is(err, blob.ErrBusy) {
		t.Errorf("one too many waits: %v", err)
	}
	cancel()
	if err := <-waited; !errors.Is(err, context.Canceled) || s.Waiting() != 0 {
		t.Errorf("one that left: %v, %d wait", err, s.Waiting())
	}
	s.Release()
	if err := s.Acquire(t.Context()); err != nil {
		t.Error(err)
	}
	if err := serving.NewSlots(0, 1, time.Millisecond).Acquire(t.Context()); !errors.Is(err, blob.ErrBusy) {
		t.Errorf("a wait that was too long: %v", err)
	}
}

func TestFaultLog(t *testing.T) {
	var out bytes.Buffer
	f := serving.NewFaultLog(slog.New(slog.NewTextHandler(&out, nil)), "request failed", time.Hour)
	f.Report(blob.Hash{1}, blob.ErrBusy)
	f.Report(blob.Hash{1}, context.Canceled)
	for range 3 {
		f.Report(blob.Hash{1}, errors.New("a disk is broken"))
	}
	got := out.String()
	if strings.Count(got, "\n") != 1 || !strings.Contains(got, "a disk is broken") || !strings.Contains(got, "request failed") ||
		!strings.Contains(got, blob.Hash{1}.Short()) {
		t.Errorf("logged %s", got)
	}
}

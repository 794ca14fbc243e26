package serving

import (
	"context"
	"errors"
	"syscall"
	"time"
)

// The pause after a connection that could not be accepted doubles from the first to the last of these.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

// AcceptAll calls start with each connection that accept gives, until accept fails for good. A failure that may pass is
// told to retry, and followed by a pause, which the end of ctx cuts short. The error is that of accept, never nil.
func AcceptAll[C any](ctx context.Context, accept func() (C, error), start func(C), retry func(error, time.Duration)) error {
	pause := firstPause
	for {
		c, err := accept()
		switch {
		case err == nil:
			pause = firstPause
			start(c)
		case !passes(err):
			return err
		default:
			retry(err, pause)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
			pause = min(2*pause, lastPause)
		}
	}
}

// passes says whether an error of accept is about one connection, or about a shortage that may pass.
func passes(err error) bool {
	for _, e := range []error{
		syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EINTR, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

package http3d

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/OdyseeTeam/prism/blob"
	httpd "github.com/OdyseeTeam/prism/frontends/http"
)

// writer is the answer to one request, with its reader's pace: while writes wait for the reader, it takes so many bytes
// in each window. Only time spent in writes counts.
type writer struct {
	http.ResponseWriter
	stream interface{ SetWriteDeadline(time.Time) error }
	window time.Duration
	least  int64

	spent time.Duration // of the window, in writes
	moved int64         // in the window
	armed time.Time     // the stream's deadline
}

func newWriter(w http.ResponseWriter, window time.Duration, least int64) *writer {
	out := &writer{ResponseWriter: w, window: window, least: least}
	out.stream, _ = w.(interface{ SetWriteDeadline(time.Time) error })
	return out
}

// promptly is how long WritePrompt waits for a reader. Of pieces of 512 KiB that asks for 4 Mbit/s.
const promptly = time.Second

// WriteHeader gives the header a window: it leaves with the first bytes of the body, or at the end of the request.
func (w *writer) WriteHeader(status int) {
	w.arm(time.Now(), w.window)
	w.ResponseWriter.WriteHeader(status)
}

// arm makes the stream wake us after wait, or at the end of the window, or a little before: a deadline that is about
// right stays, since setting it costs more than a write that need not wait.
func (w *writer) arm(now time.Time, wait time.Duration) {
	wait = min(wait, w.window-w.spent)
	end := now.Add(wait)
	if off := end.Sub(w.armed); w.stream == nil || 0 <= off && off < wait/8 {
		return
	}
	w.armed = end
	_ = w.stream.SetWriteDeadline(end) // fails on a stream that is gone, as writes do
}

// Write writes p, window by window.
func (w *writer) Write(p []byte) (int, error) {
	done := 0
	for {
		n, late, err := w.write(p[done:], w.window)
		done += n
		if err != nil || !late {
			return done, err
		}
	}
}

// WritePrompt implements blob.PromptWriter.
func (w *writer) WritePrompt(p []byte) (int, error) {
	n, _, err := w.write(p, promptly)
	return n, err
}

// write writes as much of p as the reader takes while we wait, which is within the window; late says that it was not all.
func (w *writer) write(p []byte, wait time.Duration) (n int, late bool, err error) {
	start := time.Now()
	w.arm(start, wait)
	n, err = w.ResponseWriter.Write(p)
	w.moved += int64(n)
	w.spent += time.Since(start)
	if w.spent >= w.window {
		if w.moved < w.least {
			return n, false, errSlow
		}
		w.spent, w.moved = 0, 0
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.armed = time.Time{}
		return n, true, nil
	}
	return n, false, sorted(err)
}

// finish gives what the handler left in buffers a window of its own.
func (w *writer) finish() {
	w.spent = 0
	w.arm(time.Now(), w.window)
}

// Flush implements http.Flusher: small writes are kept back to make one packet of them.
func (w *writer) Flush() {
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		w.arm(time.Now(), w.window)
		f.Flush()
	}
}

var errSlow = fmt.Errorf("http3: the reader is too slow: %w", os.ErrDeadlineExceeded)

// sorted is an error of a stream in the terms of frontends/http.
func sorted(err error) error {
	var idle *quic.IdleTimeoutError
	var violation *quic.TransportError
	var reset *http3.Error
	var stream *quic.StreamError
	var closed *quic.ApplicationError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &idle):
		return fmt.Errorf("%w: %w", httpd.ErrNoActivity, err)
	case errors.As(err, &violation):
		return fmt.Errorf("%w: %w", httpd.ErrProtocol, err)
	case errors.As(err, &reset), errors.As(err, &stream), errors.As(err, &closed):
		return &net.OpError{Op: "write", Net: "udp", Err: fmt.Errorf("%w: %w", syscall.ECONNRESET, err)}
	}
	return err
}

var (
	_ http.Flusher      = (*writer)(nil)
	_ blob.PromptWriter = (*writer)(nil)
)

package serving_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/internal/serving"
)

// What passes is tried again, with longer pauses until a connection comes; what does not pass ends it.
func TestAcceptAll(t *testing.T) {
	shortage := &net.OpError{Op: "accept", Err: syscall.EMFILE}
	answers := []error{nil, shortage, shortage, nil, shortage, net.ErrClosed}
	calls, started := 0, 0
	var pauses []time.Duration
	err := serving.AcceptAll(t.Context(), func() (int, error) {
		calls++
		return calls, answers[calls-1]
	}, func(int) { started++ }, func(_ error, pause time.Duration) { pauses = append(pauses, pause) })
	const first = 5 * time.Millisecond
	if want := fmt.Sprint([]time.Duration{first, 2 * first, first}); !errors.Is(err, net.ErrClosed) || started != 2 || fmt.Sprint(pauses) != want {
		t.Errorf("%v, %d started, pauses %v; want %s", err, started, pauses, want)
	}
}

// The end of the context cuts a pause short, and the error is still that of accept.
func TestAcceptAllEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	err := serving.AcceptAll(ctx, func() (int, error) {
		if calls++; calls > 100 {
			return 0, net.ErrClosed
		}
		return 0, syscall.ENOMEM
	}, func(int) { t.Error("started") }, func(error, time.Duration) { cancel() })
	if !errors.Is(err, net.ErrClosed) || calls != 101 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

func TestFillIn(t *testing.T) {
	given, open := 7, 0
	err := serving.FillIn("http", []serving.Setting[int]{{"max_queue", &given, 3}, {"max_connections", &open, 5}})
	if err != nil || given != 7 || open != 5 {
		t.Errorf("%v, %d, %d", err, given, open)
	}
	rate, wait := int64(-1), -time.Second
	if err := serving.FillIn("peer", []serving.Setting[int64]{{"min_rate", &rate, 1}}); err == nil ||
		err.Error() != "peer: min_rate is -1, want a positive number" {
		t.Error(err)
	}
	if err := serving.FillIn("peer", []serving.Setting[time.Duration]{{"idle_timeout", &wait, 1}}); err == nil ||
		err.Error() != "peer: idle_timeout is -1s, want a positive duration" {
		t.Error(err)
	}
}

package stores_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores"
)

func TestOriginFailed(t *testing.T) {
	for err, want := range map[error]bool{
		blob.ErrUnavailable:      true,
		context.DeadlineExceeded: true,
		fmt.Errorf("wait for a buffer: %w: %w", blob.ErrUnavailable, blob.ErrBusy): false,
		context.Canceled:     false,
		blob.ErrNotFound:     false,
		blob.ErrProtected:    false,
		blob.ErrCorrupt:      false,
		errors.New("no one"): false,
	} {
		if got := stores.OriginFailed(fmt.Errorf("origin: %w", err)); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
}

func TestOrDefault(t *testing.T) {
	for v, want := range map[time.Duration]time.Duration{0: 3, -1: 3, 1: 1} {
		if got := stores.OrDefault(v, 3); got != want {
			t.Errorf("%d: %d, want %d", v, got, want)
		}
	}
}

// Package breaker leaves an origin alone for a while that keeps failing, so that those who wait for it are told at once
// and it is not asked by everybody the moment it comes back.
package breaker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/sony/gobreaker/v2"
)

// ErrOpen says that the origin was not asked, because it has failed too often in a row.
var ErrOpen = errors.New("origin keeps failing and is left alone for a moment")

// Options says when an origin is left alone. Zero values mean the defaults.
type Options struct {
	Name string // of the origin, for the log of whoever asks
	// Failures in a row that open the breaker. Default 8.
	Failures int
	// Pause until one call is let through again to try. Default 2 s, and up to a quarter more, so that many caches do
	// not come back together.
	Pause time.Duration
	// IsFailure says whether an error is about the origin's health. Default: every error. nil errors never reach it,
	// and neither do those of callers who left.
	IsFailure func(error) bool
}

// Breaker counts the failures of one origin. It is safe for concurrent use.
type Breaker struct {
	two *gobreaker.TwoStepCircuitBreaker[struct{}]
}

// New makes a breaker that lets calls through.
func New(o Options) *Breaker {
	if o.Failures <= 0 {
		o.Failures = 8
	}
	if o.Pause <= 0 {
		o.Pause = 2 * time.Second
	}
	if o.IsFailure == nil {
		o.IsFailure = func(error) bool { return true }
	}
	return &Breaker{two: gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         o.Name,
		MaxRequests:  1,
		Timeout:      o.Pause + rand.N(o.Pause/4+1),
		ReadyToTrip:  func(c gobreaker.Counts) bool { return int64(c.ConsecutiveFailures) >= int64(o.Failures) },
		IsSuccessful: func(err error) bool { return err == nil || !o.IsFailure(err) },
		IsExcluded:   func(err error) bool { return errors.Is(err, context.Canceled) },
	})}
}

// Allow asks for one call. done must be called once with what came of it; an error that wraps context.Canceled counts
// for nothing. Errors: ErrOpen.
func (b *Breaker) Allow() (done func(error), err error) {
	done, err = b.two.Allow()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.two.Name(), ErrOpen)
	}
	return done, nil
}

// Open says whether calls are refused now.
func (b *Breaker) Open() bool { return b.two.State() == gobreaker.StateOpen }

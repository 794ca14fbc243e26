package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/internal/breaker"
)

var (
	errDown    = errors.New("down")
	errMissing = errors.New("missing")
)

// call makes one call with an outcome, and returns what Allow said.
func call(b *breaker.Breaker, outcome error) error {
	done, err := b.Allow()
	if err == nil {
		done(outcome)
	}
	return err
}

func TestBreaker(t *testing.T) {
	b := breaker.New(breaker.Options{
		Name: "o", Failures: 3, Pause: 50 * time.Millisecond,
		IsFailure: func(err error) bool { return errors.Is(err, errDown) },
	})
	for i, outcome := range []error{
		errDown, errDown, nil, // a success ends the row
		errDown, errDown, errMissing, // and so does an answer
		errDown, errDown, fmt.Errorf("read: %w", context.Canceled), // who left says nothing
	} {
		if err := call(b, outcome); err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	if b.Open() {
		t.Fatal("open after two failures in a row")
	}
	if err := call(b, errDown); err != nil {
		t.Fatal(err)
	}
	if err := call(b, nil); !errors.Is(err, breaker.ErrOpen) || !b.Open() {
		t.Fatalf("after the third: %v", err)
	}

	// After the pause one call is let through, and the others wait for what comes of it.
	var done func(error)
	deadline := time.Now().Add(20 * time.Second)
	for {
		var err error
		if done, err = b.Allow(); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it never tries again")
		}
		time.Sleep(time.Millisecond)
	}
	if err := call(b, nil); !errors.Is(err, breaker.ErrOpen) {
		t.Errorf("a second call beside the trial: %v", err)
	}
	done(context.Canceled) // the trial came to nothing: another takes its place
	if done, err := b.Allow(); err != nil {
		t.Errorf("a trial after one that was left: %v", err)
	} else {
		done(nil)
	}
	for i := range 10 {
		if err := call(b, nil); err != nil {
			t.Errorf("call %d after a good trial: %v", i, err)
		}
	}
}

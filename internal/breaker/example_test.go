package breaker_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/OdyseeTeam/prism/internal/breaker"
)

// A call asks first, and says what came of it.
func Example() {
	b := breaker.New(breaker.Options{Name: "origin", Failures: 2, Pause: time.Hour})
	call := func(f func() error) error {
		done, err := b.Allow()
		if err != nil {
			return err
		}
		err = f()
		done(err)
		return err
	}
	refused := func() error { return errors.New("connection refused") }
	for range 3 {
		fmt.Println(call(refused))
	}
	fmt.Println(b.Open())
	// Output:
	// connection refused
	// connection refused
	// origin: origin keeps failing and is left alone for a moment
	// true
}

package serving

import (
	"fmt"
	"time"
)

// Setting is an option of a server whose zero value stands for a default.
type Setting[T int | int64 | time.Duration] struct {
	Name    string // as in a configuration
	Value   *T
	Default T
}

// FillIn gives each setting that is zero its default. A negative one is an error that begins with the name of the server.
func FillIn[T int | int64 | time.Duration](server string, settings []Setting[T]) error {
	for _, s := range settings {
		if *s.Value < 0 {
			want := "number"
			if _, is := any(*s.Value).(time.Duration); is {
				want = "duration"
			}
			return fmt.Errorf("%s: %s is %v, want a positive %s", server, s.Name, *s.Value, want)
		}
		if *s.Value == 0 {
			*s.Value = s.Default
		}
	}
	return nil
}

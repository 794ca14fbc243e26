package serving

import (
	"fmt"
	"time"
)

// Setting is an option of a server whose zero value stands for a default.
type Setting[T int | int64 | time.Duration] struct {
	name  string
	value *T
	other T
}

// Set is the setting of that name, as it is in a configuration, with its default.
func Set[T int | int64 | time.Duration](name string, value *T, other T) Setting[T] {
	return Setting[T]{name: name, value: value, other: other}
}

// FillIn gives each setting that is zero its default. A negative one is an error that begins with the name of the server.
func FillIn[T int | int64 | time.Duration](server string, settings ...Setting[T]) error {
	for _, s := range settings {
		if *s.value < 0 {
			want := "number"
			if _, is := any(*s.value).(time.Duration); is {
				want = "duration"
			}
			return fmt.Errorf("%s: %s is %v, want a positive %s", server, s.name, *s.value, want)
		}
		if *s.value == 0 {
			*s.value = s.other
		}
	}
	return nil
}

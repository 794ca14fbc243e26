package jsonscan_test

import (
	"fmt"

	"github.com/OdyseeTeam/prism/internal/jsonscan"
)

// Two objects arrive back to back, cut where the network cuts.
func ExampleScanner() {
	s := jsonscan.New(1 << 10)
	var object []byte
	for _, piece := range []string{`{"version":1}{"a`, `":"}"`, `}`} {
		for rest := []byte(piece); len(rest) > 0; {
			n, done, err := s.Scan(rest)
			if err != nil {
				fmt.Println(err)
				return
			}
			object = append(object, rest[:n]...)
			rest = rest[n:]
			if done {
				fmt.Println(string(object))
				object = object[:0]
				s.Reset()
			}
		}
	}
	// Output:
	// {"version":1}
	// {"a":"}"}
}

package peer_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/protocol/peer"
)

// Three blobs, by name.
var (
	hashA = blob.Sum([]byte("a"))
	hashB = blob.Sum([]byte("b"))
	hashC = blob.Sum([]byte("c"))
)

// named puts the hashes in the place of $A, $B and $C.
func named(s string) string {
	return strings.NewReplacer("$A", hashA.String(), "$B", hashB.String(), "$C", hashC.String()).Replace(s)
}

// cut feeds input in pieces of the given sizes, the last of which repeats, and gives the messages and the error at the
// end, if there is one. It holds Messages to its bounds on the way.
func cut(t testing.TB, input string, sizes ...int) (out []string, err error) {
	t.Helper()
	var m peer.Messages
	for i := 0; ; i++ {
		for {
			message, err := m.Next()
			if err != nil {
				if again, e := m.Next(); again != nil || !errors.Is(e, err) {
					t.Fatalf("after %v came %q, %v", err, again, e)
				}
				return out, err
			}
			if message == nil {
				break
			}
			out = append(out, string(message))
		}
		if m.Held() > peer.MaxMessage {
			t.Fatalf("%d bytes are held", m.Held())
		}
		if input == "" {
			return out, nil
		}
		size := sizes[min(i, len(sizes)-1)]
		for size > 0 && input != "" {
			room := m.Room()
			if len(room) == 0 || len(room) > peer.MaxMessage {
				t.Fatalf("room for %d bytes", len(room))
			}
			n := copy(room[:min(len(room), size)], input)
			m.Add(n)
			input, size = input[n:], size-n
			if len(room) == n {
				break // take what is there first
			}
		}
	}
}

// parsed is a request in a form that tests can compare.
func parsed(message string) string {
	r, err := peer.ParseRequest([]byte(message))
	if err != nil {
		return fmt.Sprint("error: ", kindOf(err))
	}
	var out []string
	for _, h := range r.Wanted {
		out = append(out, "wanted "+letter(h))
	}
	if r.HasBlob {
		out = append(out, "blob "+letter(r.Blob))
	}
	switch r.Rate {
	case peer.RateNone:
	case peer.RateAccepted:
		out = append(out, "accepted")
	case peer.RateTooLow:
		out = append(out, "too low")
	}
	return strings.Join(out, ", ")
}

func letter(h blob.Hash) string {
	switch h {
	case hashA:
		return "A"
	case hashB:
		return "B"
	case hashC:
		return "C"
	}
	return h.String()
}

func kindOf(err error) string {
	for _, known := range []struct {
		is   error
		name string
	}{
		{peer.ErrNotObject, "not an object"}, {peer.ErrTooLarge, "too large"}, {peer.ErrTooDeep, "too deep"},
		{peer.ErrSyntax, "syntax"}, {peer.ErrMalformed, "malformed"}, {blob.ErrInvalidHash, "hash"},
	} {
		if errors.Is(err, known.is) {
			return known.name
		}
	}
	return err.Error()
}

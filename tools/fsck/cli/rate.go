package cli

import (
	"context"

	"golang.org/x/time/rate"

	"github.com/OdyseeTeam/prism/internal/bytesize"
)

// Rate is a flag that bounds bytes a second.
type Rate struct {
	MaxRate Size `placeholder:"SIZE" help:"Read and write at most this much a second, such as 50MB."`
}

// Size is a number of bytes on the command line.
type Size int64

// UnmarshalText reads 50MB, 1GiB and the like.
func (s *Size) UnmarshalText(text []byte) error {
	n, err := bytesize.Parse(string(text))
	*s = Size(n)
	return err
}

// largest is the most bytes that are asked for at once: what the limiter must be able to give.
const largest = 8 << 20

// Limiter is something to wait for before n bytes are read.
type Limiter interface {
	WaitN(ctx context.Context, n int) error
}

// limit gives the flag's limiter, or nil where there is no limit.
func (r Rate) limit() Limiter {
	if r.MaxRate <= 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(r.MaxRate), largest)
}

package stores

import (
	"context"
	"errors"

	"github.com/OdyseeTeam/prism/blob"
)

// OriginFailed says whether an error of an origin is about its health. A blob that is missing, protected or wrong is an
// answer; so is a shortage of ours.
func OriginFailed(err error) bool {
	return (errors.Is(err, blob.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)) && !errors.Is(err, blob.ErrBusy)
}

// OrDefault is v, or def where v was not set.
func OrDefault[T ~int | ~int64](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}

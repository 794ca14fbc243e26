package httpd

import (
	"context"
	"errors"
	"net/http"
	"os"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/serving"
)

// retryAfter is what a 503 asks for, in seconds.
const retryAfter = "1"

// statusOf is the answer to an error of the store, the gate, the queue or the parser. Not found is said only where the
// error says so; a store that cannot tell is asked again (503), and what a store or an origin got wrong is 502.
func statusOf(err error) int {
	switch {
	case errors.Is(err, blob.ErrInvalidHash), errors.Is(err, errBadQuery):
		return http.StatusBadRequest
	case errors.Is(err, blob.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, blob.ErrProtected):
		return http.StatusForbidden
	case errors.Is(err, blob.ErrBusy):
		return http.StatusServiceUnavailable
	case isTimeout(err):
		return http.StatusGatewayTimeout
	case errors.Is(err, blob.ErrUnavailable), errors.Is(err, blob.ErrFull), errors.Is(err, context.Canceled):
		return http.StatusServiceUnavailable
	}
	return http.StatusBadGateway
}

func isTimeout(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

// The errors of a connection that a Handler's server knows better than it, wrapped by those of http.ResponseWriter.Write.
var (
	ErrNoActivity = errors.New("no network activity")
	ErrProtocol   = errors.New("protocol violation")
)

// newErrorCounts has the types of HTTP.
func newErrorCounts() *serving.ErrorCounts {
	return serving.NewErrorCounts(
		serving.ErrorType{Is: ErrNoActivity, Name: "no_network_activity"},
		serving.ErrorType{Is: ErrProtocol, Name: "quic_protocol_violation"},
	)
}

package bolt

import (
	"fmt"
	"log/slog"

	"github.com/OdyseeTeam/prism/metadata"
)

// Options are what Open needs. Path must be set.
type Options struct {
	Path        string            // the file; it is made when it is missing, and its folder too
	Tracking    metadata.Tracking // what accesses are noted on
	SoftDeletes bool              // whether deleted blobs keep their rows

	Logger *slog.Logger // nil: nothing is logged
}

func (o Options) check() (Options, error) {
	if o.Path == "" {
		return o, fmt.Errorf("%w: the path of the catalogue's file is missing", metadata.ErrOptions)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, o.Tracking.Check()
}

package reflector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/OdyseeTeam/prism/blob"
	wire "github.com/OdyseeTeam/prism/protocol/reflector"
	"github.com/OdyseeTeam/prism/protocol/stream"
)

// Bounds of the work that SD blobs cause which are held already: so many are checked at once, each with so many calls
// of Has.
const (
	maxChecks = 8
	maxAsking = 8
)

// lacking is the answer about an SD blob that the store holds: what its stream lacks, or that it should be sent again.
func (s *Server) lacking(ctx context.Context, sd blob.Hash) (wire.Offer, error) {
	if s.streams != nil {
		missing, known, err := s.streams.MissingForStream(ctx, sd)
		if err != nil || known {
			return wire.Offer{Needed: missing}, err
		}
	}
	buf, err := s.checks.Get(ctx)
	if err != nil {
		return wire.Offer{}, err
	}
	defer s.checks.Put(buf)
	blobs, err := s.contentOf(ctx, sd, buf)
	switch {
	case errors.Is(err, blob.ErrNotFound), errors.Is(err, blob.ErrCorrupt), errors.Is(err, stream.ErrNotSD):
		return wire.Offer{Send: true}, nil // it is not held after all, or not as an SD blob
	case err != nil:
		return wire.Offer{}, err
	}
	missing, err := s.absent(ctx, blobs)
	return wire.Offer{Needed: missing}, err
}

// contentOf reads an SD blob through buf, which has room for any.
func (s *Server) contentOf(ctx context.Context, sd blob.Hash, buf []byte) ([]blob.Hash, error) {
	handle, err := s.opt.Store.Get(ctx, sd)
	if err != nil {
		return nil, err
	}
	defer handle.Release()
	if handle.Size() > int64(len(buf)) {
		return nil, stream.ErrNotSD
	}
	data := buf[:handle.Size()]
	if n, err := handle.ReadAt(data, 0); n < len(data) {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	content, err := stream.ParseSD(data)
	return content.Blobs, err
}

// absent is those of the blobs that the store does not have, in their order.
func (s *Server) absent(ctx context.Context, blobs []blob.Hash) ([]blob.Hash, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	has := make([]bool, len(blobs))
	var next atomic.Int64
	var asking sync.WaitGroup
	for range min(maxAsking, len(blobs)) {
		asking.Go(func() {
			defer func() {
				if p := recover(); p != nil { // which the session's own recover does not see
					s.count.panics.Add(1)
					fail(fmt.Errorf("reflector: panic: %v", p))
				}
			}()
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(blobs) {
					return
				}
				var err error
				if has[i], err = s.opt.Store.Has(ctx, blobs[i]); err != nil {
					fail(err)
				}
			}
		})
	}
	asking.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var missing []blob.Hash
	for i, h := range blobs {
		if !has[i] {
			missing = append(missing, h)
		}
	}
	return missing, nil
}

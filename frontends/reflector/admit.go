package reflector

import (
	"context"
	"fmt"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	wire "github.com/OdyseeTeam/prism/protocol/reflector"
	"github.com/OdyseeTeam/prism/protocol/stream"
)

// upload is the right to send a blob: a buffer for it, and mostly its turn.
type upload struct {
	s    *Server
	hash blob.Hash
	buf  []byte
	turn bool
}

// end gives back what the upload holds. It may be called again.
func (u *upload) end() {
	if u.turn {
		u.turn = false
		u.s.turns.end(u.hash)
	}
	if u.buf != nil {
		u.s.bodies.Put(u.buf)
		u.buf = nil
	}
}

// admit answers a request. With an offer to send comes the upload, which the caller ends.
func (s *Server) admit(r wire.Request) (wire.Offer, *upload, error) {
	ctx, cancel := context.WithTimeout(s.base, s.opt.AnswerTimeout)
	defer cancel()
	patience := time.NewTimer(s.opt.TurnTimeout)
	defer patience.Stop()
	for {
		offer, err := s.decide(ctx, r)
		if err != nil {
			s.faults.Report(r.Hash, err)
		}
		if err != nil || !offer.Send {
			return offer, nil, err
		}
		over, mine := s.turns.take(r.Hash)
		up := &upload{s: s, hash: r.Hash, turn: mine}
		if !mine {
			select {
			case <-over: // with the blob in the store, or not
				continue
			case <-patience.C: // the other one is too slow
			case <-ctx.Done():
				return wire.Offer{}, nil, fmt.Errorf("reflector: wait for another sender: %w", ctx.Err())
			}
		}
		if up.buf, err = s.bodies.Get(ctx); err != nil {
			return wire.Offer{}, up, fmt.Errorf("reflector: wait for a place among %d uploads: %w", s.opt.MaxUploads, err)
		}
		return offer, up, nil
	}
}

// decide is the answer as the store has it.
func (s *Server) decide(ctx context.Context, r wire.Request) (wire.Offer, error) {
	wanted, blocked, err := s.wants(ctx, r.Hash)
	if err != nil {
		return wire.Offer{}, fmt.Errorf("reflector: is it wanted: %w", err)
	}
	if wanted || blocked || r.Kind != blob.KindSD {
		return wire.Offer{Send: wanted && !blocked}, nil
	}
	offer, err := s.lacking(ctx, r.Hash)
	if err != nil {
		return wire.Offer{}, fmt.Errorf("reflector: what does its stream lack: %w", err)
	}
	return offer, nil
}

func (s *Server) wants(ctx context.Context, h blob.Hash) (wanted, blocked bool, err error) {
	if s.opt.Blocked != nil && s.opt.Blocked(h) {
		return false, true, nil
	}
	if s.wanter != nil {
		return s.wanter.Wants(ctx, h)
	}
	has, err := s.opt.Store.Has(ctx, h)
	return !has, false, err
}

// checkKind demands of an SD blob that it can be read as one.
func checkKind(v blob.Verified, kind blob.Kind) error {
	if kind != blob.KindSD {
		return nil
	}
	if _, err := stream.ParseSD(v.Bytes()); err != nil {
		return fmt.Errorf("reflector: SD blob %s: %w", v.Hash().Short(), err)
	}
	return nil
}

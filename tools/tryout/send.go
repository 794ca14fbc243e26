package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/frontends/upload/reflectclient"
	"github.com/OdyseeTeam/prism/protocol/stream"
)

// send sends every blob in over the reflector protocol, and wants a receipt for each.
func (s *scene) send(ctx context.Context, conns int) (*round, error) {
	idle := make(chan *reflectclient.Client, conns)
	defer func() {
		for len(idle) > 0 {
			_ = (<-idle).Close()
		}
	}()
	r := s.each(ctx, "sent in", conns, func(ctx context.Context, b source) error {
		data, err := os.ReadFile(b.path)
		if err != nil {
			return err
		}
		v, err := blob.Verify(b.hash, data)
		if err != nil {
			return fmt.Errorf("%s has changed: %w", b.path, err)
		}
		var c *reflectclient.Client
		select {
		case c = <-idle:
		default:
			if c, err = reflectclient.Dial(ctx, address(s.ports.reflectorTake), reflectclient.Options{}); err != nil {
				return err
			}
		}
		got, err := c.Upload(ctx, v, stream.Sniff(data))
		if err != nil {
			return errors.Join(err, c.Close())
		}
		idle <- c
		if !got.Sent {
			return errors.New("the reflector did not want it")
		}
		return nil
	})
	return r, ctx.Err()
}

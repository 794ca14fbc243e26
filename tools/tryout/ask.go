package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/http3"
	"github.com/OdyseeTeam/prism/stores/peer"
	"github.com/OdyseeTeam/prism/stores/upstream"
)

// round is what came of sending every blob in, or of asking for each.
type round struct {
	name     string
	asked    int
	fills    int64 // how often the blobcache asked the reflector meanwhile
	want     int64 // how often it should have; -1 where it has no part in it
	verified int64 // bytes of good answers
	elapsed  time.Duration
	times    []time.Duration // of each good answer, sorted
	errs     []error
}

// quantile is the time that a share of the answers did not exceed.
func (r *round) quantile(share float64) time.Duration {
	if len(r.times) == 0 {
		return 0
	}
	return r.times[min(len(r.times)-1, int(share*float64(len(r.times))))]
}

// rate is in bytes a second, the client's own hashing included.
func (r *round) rate() float64 {
	if r.elapsed <= 0 {
		return 0
	}
	return float64(r.verified) / r.elapsed.Seconds()
}

// each does something with every blob, on several goroutines, and times it.
func (s *scene) each(ctx context.Context, name string, conns int, do func(context.Context, source) error) *round {
	r := &round{name: name, asked: len(s.blobs), want: -1}
	work := make(chan source)
	var mu sync.Mutex
	var wg sync.WaitGroup
	start := time.Now()
	for range conns {
		wg.Go(func() {
			for b := range work {
				begun := time.Now()
				err := ctx.Err()
				if err == nil {
					err = do(ctx, b)
				}
				took := time.Since(begun)
				mu.Lock()
				if err != nil {
					r.errs = append(r.errs, fmt.Errorf("%s: %w", b.hash.Short(), err))
				} else {
					r.times = append(r.times, took)
					r.verified += b.size
				}
				mu.Unlock()
			}
		})
	}
	for _, b := range s.blobs {
		work <- b
	}
	close(work)
	wg.Wait()
	r.elapsed = time.Since(start)
	slices.Sort(r.times)
	return r
}

// readBack asks the blobcache for every blob over each protocol, by the clients that Prism has for its own origins: they
// compare every body with its name. The first round has to fill the cache, and the others must not.
func (s *scene) readBack(ctx context.Context, conns int) ([]*round, error) {
	clients, err := s.clients()
	if err != nil {
		return nil, err
	}
	var rounds []*round
	before := int64(0)
	for i, c := range clients {
		r := s.each(ctx, c.name, conns, func(ctx context.Context, b source) error { return read(ctx, c.store, b) })
		if err := c.store.Close(); err != nil {
			r.errs = append(r.errs, err)
		}
		after, err := s.fills(ctx)
		if err != nil {
			return nil, err
		}
		r.fills, before = after-before, after
		r.want = 0
		if i == 0 {
			r.want = int64(len(s.blobs))
		}
		rounds = append(rounds, r)
	}
	return rounds, ctx.Err()
}

// client is a way to ask.
type client struct {
	name  string
	store stores.Store
}

func (s *scene) clients() ([]client, error) {
	h, err := upstream.New(upstream.Options{Upstream: base(s.ports.http)})
	if err != nil {
		return nil, err
	}
	again, err := upstream.New(upstream.Options{Upstream: base(s.ports.http)})
	if err != nil {
		return nil, err
	}
	h3, err := http3.New(http3.Options{Address: address(s.ports.http3)})
	if err != nil {
		return nil, err
	}
	p, err := peer.New(peer.Options{Address: address(s.ports.peer)})
	if err != nil {
		return nil, err
	}
	return []client{{"read, HTTP", h}, {"again, HTTP", again}, {"again, HTTP/3", h3}, {"again, peer", p}}, nil
}

// read gets one blob; the store has compared it with its name when it gives the handle.
func read(ctx context.Context, s stores.Store, b source) error {
	h, err := s.Get(ctx, b.hash)
	if err != nil {
		return err
	}
	defer h.Release()
	n, err := h.WriteTo(io.Discard)
	if err == nil && n != b.size {
		err = fmt.Errorf("%d bytes, want %d", n, b.size)
	}
	return err
}

// fills is how often the blobcache has asked the reflector, as its metrics say.
func (s *scene) fills(ctx context.Context) (int64, error) {
	page, err := getText(ctx, base(s.ports.metrics)+"/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "prism_fills_total{") {
			var n float64
			if _, err := fmt.Sscan(line[strings.LastIndexByte(line, ' '):], &n); err != nil {
				return 0, fmt.Errorf("read the metrics: %q: %w", line, err)
			}
			return int64(n), nil
		}
	}
	return 0, fmt.Errorf("%s/metrics has no prism_fills_total", base(s.ports.metrics))
}

package caching

import (
	"context"
	"errors"
	"math"
	"net"
	"sync/atomic"
	"time"

	"github.com/OdyseeTeam/prism/blob"
)

// counters are what Stats reads. A hit touches three of them, and no lock.
type counters struct {
	hits, hitBytes, misses, negativeHits  atomic.Int64
	fills, filledBytes, originMisses      atomic.Int64
	cacheErrors, passedThrough            atomic.Int64
	originInFlight, waiting, buffers      atomic.Int64
	cacheMbps, originMbps                 atomic.Uint64 // bits of a float64
	corrupt, tooBig, timeout, unavailable atomic.Int64
	otherFailures                         atomic.Int64
}

func (c *counters) hit(size int64, took time.Duration) {
	c.hits.Add(1)
	c.hitBytes.Add(size)
	c.cacheMbps.Store(mbps(size, took))
}

func (c *counters) filled(size int64, took time.Duration) {
	c.filledBytes.Add(size)
	c.originMbps.Store(mbps(size, took))
}

// mbps is a speed in megabits a second, as the bits of a float64.
func mbps(size int64, took time.Duration) uint64 {
	return math.Float64bits(float64(size) * 8 / 1e6 / max(took.Seconds(), 1e-9))
}

// fillFailed counts a fill that brought an error, and names its class.
func (c *counters) fillFailed(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, blob.ErrCorrupt), errors.Is(err, blob.ErrEmpty):
		c.corrupt.Add(1)
		return "corrupt"
	case errors.Is(err, blob.ErrTooBig):
		c.tooBig.Add(1)
		return "too_big"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		c.timeout.Add(1)
		return "timeout"
	case errors.Is(err, blob.ErrUnavailable), errors.Is(err, blob.ErrBusy):
		c.unavailable.Add(1)
		return "unavailable"
	}
	c.otherFailures.Add(1)
	return "other"
}

// Stats is a snapshot. What is not called a gauge only grows.
type Stats struct {
	Hits, HitBytes int64 // Gets that the cache answered
	Misses         int64 // Gets that it did not
	NegativeHits   int64 // answered "not found" from memory, Has included

	Fills        int64            // requests to the origin for bytes
	FilledBytes  int64            // that came and were verified
	OriginMisses int64            // fills that the origin answered with "not found"
	FillErrors   map[string]int64 // the others, by class: corrupt, too_big, timeout, unavailable, other

	CacheErrors   int64 // calls of the cache that failed; no client saw them
	PassedThrough int64 // fills that the cache did not keep

	OriginInFlight int64 // gauge: requests to the origin
	Waiting        int64 // gauge: Gets that wait for a fill
	FillBuffers    int64 // gauge: buffers of 2 MiB that fills and readers of what passed through hold

	CacheMbps  float64 // gauge: the last hit, its size over the time that the cache took to pin it
	OriginMbps float64 // gauge: the last good fill, from the request to the last byte
}

// Stats counts since New.
func (s *Store) Stats() Stats {
	c := &s.counters
	return Stats{
		Hits:         c.hits.Load(),
		HitBytes:     c.hitBytes.Load(),
		Misses:       c.misses.Load(),
		NegativeHits: c.negativeHits.Load(),
		Fills:        c.fills.Load(),
		FilledBytes:  c.filledBytes.Load(),
		OriginMisses: c.originMisses.Load(),
		FillErrors: map[string]int64{
			"corrupt":     c.corrupt.Load(),
			"too_big":     c.tooBig.Load(),
			"timeout":     c.timeout.Load(),
			"unavailable": c.unavailable.Load(),
			"other":       c.otherFailures.Load(),
		},
		CacheErrors:    c.cacheErrors.Load(),
		PassedThrough:  c.passedThrough.Load(),
		OriginInFlight: c.originInFlight.Load(),
		Waiting:        c.waiting.Load(),
		FillBuffers:    c.buffers.Load(),
		CacheMbps:      math.Float64frombits(c.cacheMbps.Load()),
		OriginMbps:     math.Float64frombits(c.originMbps.Load()),
	}
}

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/OdyseeTeam/prism/blob"
)

// round is what came of asking for every blob once.
type round struct {
	asked    int
	misses   int64 // how often the origin was asked meanwhile
	verified int64 // bytes of bodies that matched their names
	elapsed  time.Duration
	times    []time.Duration // of each good answer, from the request to the last byte, sorted
	errs     []error
}

// hits is the number of good answers that needed no origin.
func (r *round) hits() int64 { return max(0, int64(len(r.times))-r.misses) }

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

// asker asks one server for blobs.
type asker struct {
	client *http.Client
	base   string // "http://127.0.0.1:5569"
	origin string // base of the origin, for its count
	conns  int
}

func newAsker(base, origin string, conns int) *asker {
	t := &http.Transport{MaxIdleConnsPerHost: conns, DisableCompression: true}
	return &asker{client: &http.Client{Transport: t, Timeout: time.Minute}, base: base, origin: origin, conns: conns}
}

// ask asks for every blob once, on several connections, and verifies every body.
func (a *asker) ask(ctx context.Context, blobs []source) (*round, error) {
	before, err := a.originCount(ctx)
	if err != nil {
		return nil, err
	}
	r := &round{asked: len(blobs)}
	work := make(chan source)
	var mu sync.Mutex
	var wg sync.WaitGroup
	start := time.Now()
	for range a.conns {
		wg.Go(func() {
			buf := make([]byte, blob.MaxSize+1)
			for b := range work {
				took, err := a.one(ctx, b, buf)
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
	for _, b := range blobs {
		work <- b
	}
	close(work)
	wg.Wait()
	r.elapsed = time.Since(start)
	slices.Sort(r.times)
	after, err := a.originCount(ctx)
	if err != nil {
		return nil, err
	}
	r.misses = after - before
	return r, ctx.Err()
}

// one asks for one blob and compares its bytes with its name.
func (a *asker) one(ctx context.Context, b source, buf []byte) (time.Duration, error) {
	start := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.blobURL(b.hash), nil)
	if err != nil {
		return 0, err
	}
	res, err := a.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("status %d", res.StatusCode)
	}
	n, err := io.ReadFull(res.Body, buf)
	if err == nil {
		return 0, blob.ErrTooBig
	}
	if err != io.ErrUnexpectedEOF && err != io.EOF {
		return 0, err
	}
	took := time.Since(start)
	if res.ContentLength != b.size {
		return 0, fmt.Errorf("Content-Length is %d, want %d", res.ContentLength, b.size)
	}
	_, err = blob.Verify(b.hash, buf[:n])
	return took, err
}

// blobURL is where a blob is asked for.
func (a *asker) blobURL(h blob.Hash) string { return a.base + "/blob?hash=" + h.String() }

// originCount asks the origin how many blobs it was asked for.
func (a *asker) originCount(ctx context.Context) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.origin+countPath, nil)
	if err != nil {
		return 0, err
	}
	res, err := a.client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("ask the origin for its count: %w", err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 32))
	if err != nil {
		return 0, fmt.Errorf("ask the origin for its count: %w", err)
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}

package peerd

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/OdyseeTeam/prism/blob"
)

// hasAtOnce bounds how many hashes of one request are asked about at the same time.
const hasAtOnce = 8

// which says of each hash whether the store has it, but for those to skip. What the store cannot tell is not there; one
// such failure is counted for all of them.
func (s *Server) which(ctx context.Context, hashes []blob.Hash, skip func(blob.Hash) bool) []bool {
	q := &query{s: s, ctx: ctx, hashes: hashes, skip: skip, there: make([]bool, len(hashes))}
	if len(hashes) <= 1 {
		q.work()
	} else {
		for range min(len(hashes), hasAtOnce) {
			q.workers.Go(q.workSafely)
		}
		q.workers.Wait()
	}
	if failed := q.panicked.Load(); failed != nil {
		panic(*failed)
	}
	if failed := q.failed.Load(); failed != nil {
		s.count.errors.Count(failed.err)
		s.faults.Report(failed.hash, failed.err)
	}
	return q.there
}

// query is the availability of the hashes of one request.
type query struct {
	s      *Server
	ctx    context.Context
	hashes []blob.Hash
	skip   func(blob.Hash) bool
	there  []bool

	next     atomic.Int64
	workers  sync.WaitGroup
	failed   atomic.Pointer[failure] // the first
	panicked atomic.Pointer[string]  // the first
}

type failure struct {
	hash blob.Hash
	err  error
}

// work asks about one hash after the other, until all are taken or the time is over.
func (q *query) work() {
	for {
		i := int(q.next.Add(1) - 1)
		if i >= len(q.hashes) {
			return
		}
		h := q.hashes[i]
		if q.skip(h) {
			continue
		}
		var err error
		if q.there[i], err = q.s.opt.Store.Has(q.ctx, h); err != nil {
			q.there[i] = false
			q.failed.CompareAndSwap(nil, &failure{h, err})
			if q.ctx.Err() != nil {
				return
			}
		}
	}
}

// workSafely is work in a goroutine of its own, where nobody else would catch a panic.
func (q *query) workSafely() {
	defer func() {
		if failed := recover(); failed != nil {
			text := fmt.Sprintf("%v, in %s", failed, debug.Stack())
			q.panicked.CompareAndSwap(nil, &text)
		}
	}()
	q.work()
}

// chosen are the hashes that are there.
func chosen(hashes []blob.Hash, there []bool) []blob.Hash {
	out := hashes[:0]
	for i, h := range hashes {
		if there[i] {
			out = append(out, h)
		}
	}
	return out
}

package disk

import (
	"context"
	"slices"

	"github.com/OdyseeTeam/prism/blob"
)

// lockCount is the number of locks that all blobs share.
const lockCount = 1024

// locks has a lock for each blob, shared by those whose hashes begin alike. A blob's row and file change only under its
// lock. Who holds one waits for nothing but disk and index, so that several may be taken, in ascending order.
type locks [lockCount]chan struct{}

func newLocks() *locks {
	var l locks
	for i := range l {
		l[i] = make(chan struct{}, 1)
	}
	return &l
}

func lockOf(h blob.Hash) int { return (int(h[0])<<8 | int(h[1])) % lockCount }

// lock takes a blob's lock, or returns ctx's error.
func (l *locks) lock(ctx context.Context, h blob.Hash) (unlock func(), err error) {
	c := l[lockOf(h)]
	select {
	case c <- struct{}{}:
		return func() { <-c }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// lockAll takes the locks of several blobs.
func (l *locks) lockAll(hs []blob.Hash) (unlock func()) {
	var which []int
	for _, h := range hs {
		which = append(which, lockOf(h))
	}
	slices.Sort(which)
	which = slices.Compact(which)
	for _, i := range which {
		l[i] <- struct{}{}
	}
	return func() {
		for _, i := range which {
			<-l[i]
		}
	}
}

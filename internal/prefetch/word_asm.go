//go:build amd64 || arm64

package prefetch

import "sync/atomic"

// Word starts to load the cache line of p, which is never nil, and does not wait for it.
//
//go:noescape
func Word(p *atomic.Uint64)

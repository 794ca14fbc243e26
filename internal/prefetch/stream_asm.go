//go:build amd64 || arm64

package prefetch

import "unsafe"

// Stream starts to load p, which is read once and soon, and does not wait for it. More than a few KiB at a time leave the
// nearest cache again before they are read.
func Stream(p []byte) {
	if len(p) > 0 {
		stream(unsafe.SliceData(p), len(p))
	}
}

// stream asks for a line at every 64 bytes from p on, and for none at p+n or beyond.
//
//go:noescape
func stream(p *byte, n int)

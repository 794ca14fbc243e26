//go:build !amd64 && !arm64

package prefetch

// Stream starts to load p, which is read once and soon, and does not wait for it. On this processor it does nothing.
func Stream([]byte) {}

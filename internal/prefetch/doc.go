// Package prefetch asks the processor for memory before it is needed, where a profile shows that the wait for it is what a
// path costs. Elsewhere it has no place: processors guess well.
package prefetch

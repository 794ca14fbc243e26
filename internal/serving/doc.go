// Package serving is what servers of blobs share, whatever their protocol: slots for calls of the store, errors sorted
// and counted as dashboards know them, and a log of faults that an origin which is down cannot flood.
package serving

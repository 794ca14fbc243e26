// Package serving is what servers of blobs share, whatever their protocol: options that have defaults, a loop that
// accepts connections through passing shortages, slots for calls of the store, errors sorted and counted as dashboards
// know them, and a log of faults that an origin which is down cannot flood.
package serving

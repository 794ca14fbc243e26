// Package serving is what servers of blobs share, whatever their protocol: options that have defaults, a loop that
// accepts connections through passing shortages, slots for calls of the store, errors sorted and counted as dashboards
// know them, a log of faults that an origin which is down cannot flood, and what can be the path of a unix socket.
package serving

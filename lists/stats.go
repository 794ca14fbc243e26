package lists

import "time"

// Stats is a snapshot of one list.
type Stats struct {
	// Known says whether there was ever a good state, on disk or from the network.
	Known bool
	// Age is the time since the state was good, or since the start while there was none.
	Age time.Duration
	// Entries is the number of hashes listed.
	Entries int
	// Skipped is the number of entries of the list that name no stream, or cannot be read.
	Skipped int
	// Unresolved is the number of entries that no hub gives the transaction of.
	Unresolved int
	// Refreshes and Failures count attempts, those that failed among them.
	Refreshes, Failures uint64
	// LastError is why the last refresh failed; empty when it did not.
	LastError string
}

// Package dbbacked keeps a catalogue of what another store has. In a configuration:
//
//	store:
//	  db_backed:
//	    name: edge                  # follows "db_backed-" in names and metrics
//	    host: db.example.com        # or path: /var/lib/prism/catalogue.db, the embedded catalogue
//	    user: reflector
//	    password_file: /etc/prism/db-password
//	    database: reflector
//	    has_cap: true               # with max_size: bounds the disk under it, by bytes
//	    max_size: 500GB
//	    access_tracking: 2          # 0 none, 1 streams, 2 blobs
//	    sync: write_behind          # or write_through; see below
//	    store:
//	      disk: …
//
// # What holds in both modes
//
//   - Get asks the store below and nothing else: no hit waits for the catalogue, or fails because of it. Accesses gather
//     in memory, one for a blob in metadata.TouchInterval, and go to the catalogue in batches.
//   - A store below that loses blobs by itself (a disk evicts) says so, and the catalogue follows: what changed is noted
//     in a journal, and a worker looks at what is true now and tells the catalogue that. After anything that may have
//     cost notes (a kill, a damaged journal, a new one) the two are compared, in the background, and what differs goes
//     the same way. They are compared once a day beside that.
//
// # write_through
//
// A Put returns once the store below has the blob and the catalogue has committed it; what the catalogue says is what
// Has and Wants say. While the catalogue is away Has is the store's, and a Put is blob.ErrUnavailable.
//
// # write_behind
//
// The store below is the truth: a Put returns when it has the blob, and Has is its answer. The catalogue is told behind,
// through the journal, however long it was away. Over a store that cannot list its blobs each Put and Delete waits for
// its note to be on disk.
//
// The journal is in the folder .prism/journal of the disk under it, where its bytes count against the disk's max_size,
// or where the key journal says. It may be deleted while nothing runs.
//
// The catalogue of a disk is that disk's alone: rows of blobs that it does not have are noted as not stored. When the two
// meet for the first time, and most of what the catalogue has is not on the disk, that is refused unless delete_on_miss
// says otherwise, since then the one or the other is the wrong one.
package dbbacked

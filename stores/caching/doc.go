// Package caching serves blobs from a cache and fills it from an origin:
//
//	store:
//	  caching:
//	    name: edge
//	    negative_ttl: 5s
//	    cache: {disk: …}
//	    origin: {http: …}
//
// A hit is one Get of the cache and takes no lock of this package. A miss joins the fill of that blob, or starts one:
// one request to the origin for all who wait, each with a deadline of their own; a fill that has begun goes on without
// them. What must hold:
//
//   - Bytes are admitted to the cache only after their SHA-384 matched their name, once. Readers of a large blob follow
//     its fill while it arrives, and the end of what they asked for is held back until the match: see body.go.
//   - A cache that fails costs speed and nothing else: its errors are counted and logged, and the blob passes through
//     from the fill's own buffer. The same happens when it has no room.
//   - Fills are bounded in number, and each holds one buffer of 2 MiB, whatever the origin sends. A buffer stays with
//     its readers only where the cache did not take the blob.
//   - Only the origin's own word makes a miss. It is remembered for a few seconds, in bounded memory, and forgotten
//     when the blob is put.
//   - A Get that begins after a Put or Delete returned sees what that did: no fill from before it is joined, and none
//     brings back what was deleted.
//
// The package retries nothing and knows neither what the cache nor what the origin is.
package caching

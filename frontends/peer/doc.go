// Package peerd is the TCP peer frontend: it decodes a request, asks a store, and encodes the answer. The folder is named
// for the protocol; the package is called otherwise, because it needs protocol/peer beside it.
//
// # Answers
//
// Each request gets one JSON object, and the bytes of the blob after it. Of requested_blobs those are named that the store
// has; a hash that is malformed, or protected, or about which the store cannot tell, is left out. A requested_blob that is
// protected is answered as missing.
//
// The connection is closed without an answer when a message is no JSON object of this protocol, when requested_blob is no
// hash, when there is no slot in time, and when the store or an origin fails: the protocol has no answer that says so, and
// "blob not found" would be a lie that clients remember. It is cut when a blob turns out unreadable after its length was
// sent.
//
// Requests of one connection are answered one after the other; those that come early wait in the kernel. A client may
// close its sending side and still read the answers. What it sends beyond the last answer does not cost it that answer.
//
// # Invariants
//
//   - At most MaxConcurrentRequests requests are between their parse and the first byte of their answer. A bounded number
//     waits for a bounded time. The slot is given back before a body leaves.
//   - Mapped memory goes from the handle to write(2) through a blob.Sink, which exists on plain TCP only. The JSON leaves in
//     the same system call as the first bytes of the body.
//   - A connection that has blocked for RateWindow without taking MinRate × RateWindow bytes is cut. One that has begun a
//     request and not ended it within RequestTimeout is closed, and so is one that asks nothing for IdleTimeout.
//   - A connection that waits for a request holds at most 4 KiB of buffers, and normally 1 KiB. A request never makes it
//     hold more than 64 KiB.
//   - A panic ends its connection only, and is counted.
package peerd

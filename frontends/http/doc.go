// Package httpd is the HTTP/1.1 frontend: it decodes a request, makes one call to a store, and encodes the answer. The
// folder is named for the protocol; the package is not called http, because everybody who imports it needs net/http
// beside it.
//
// Paths, for GET and HEAD: /blob?hash=H[&edge_token=T], /H, /PREFIX/H, /get/H, /has/H, /healthz, /readyz. A hash is
// parsed once, here, before a store or a gate sees it.
//
// # Answers
//
//	200 206     the bytes, with an exact Content-Length; 206 for one range that a blob can satisfy
//	204         HEAD /blob of a blob that is there
//	304 412     If-None-Match and If-Match against the entity tag, which is the hash
//	400         a hash or a query that is malformed: on /blob, /get/ and /has/
//	403         protected, and no token that opens it. HEAD /blob and /has/ answer by existence instead
//	404         the store or the gate said blob.ErrNotFound, and nothing else; or a path that names nothing here
//	405 505     neither GET nor HEAD; not HTTP/1
//	416         a range outside the blob. Several ranges, other units and ranges that do not parse are ignored: 200
//	502         an origin gave bytes that are not the blob: wrong, too few, too many; or an error of no other kind
//	503         no room in the queue, or an origin or a disk is out of reach, fails or breaks off; with Retry-After
//	504         no answer within the time for a look-up
//
// A client that leaves is not answered. An answer whose header has left is completed or cut, never padded: a client
// sees fewer bytes than Content-Length and an end of the connection.
//
// # Invariants
//
//   - At most MaxConcurrentRequests requests are between their parse and the first byte of their answer. A bounded
//     number waits for a bounded time. The slot is given back before a body leaves, so a slow reader holds a connection
//     and a pinned handle, and nothing that others wait for.
//   - Mapped memory goes from the handle to write(2) through a blob.Sink, which exists on plain TCP only. The header is
//     out of net/http's buffers by then, and leaves in the same system call as the first bytes of the body.
//   - A connection that has blocked for RateWindow without taking MinRate × RateWindow bytes is cut.
//   - The edge token is compared in constant time and appears in no log line, no answer and no statistic.
//
// Connections beyond MaxConnections are accepted and answered 503 at once. The other choice, not to accept, leaves
// clients in the kernel's queue until they time out, and blinds health checks exactly when they matter.
//
// The package does not terminate TLS, speaks no HTTP/2, reads no request bodies, and keeps no access log.
package httpd

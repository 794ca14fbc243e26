// Package peer is an origin that speaks the TCP peer protocol: another Prism, or a server of the LBRY network.
//
//	store:
//	  peer:
//	    name: reflector
//	    address: reflector.example.com:5567
//	    dial_timeout: 3s
//	    header_timeout: 30s     # from a request to the end of its answer's JSON
//	    idle_timeout: 30s       # of a body: no byte for so long ends the transfer
//	    timeout: 30s            # both of these, where they are not given
//
// Connections are kept and used again, one transfer at a time on each. One that a server has closed meanwhile is no
// error: the request goes out once more, over a new one.
//
// An origin is not trusted: its JSON is read to 64 KiB, a body to the length that it announced, which is at most 2 MiB.
// Missing is what it calls "blob not found", a blob of no bytes, and an answer that does not mention the blob, which is
// how servers of the SDK say it; everything else that is no blob is an error and never blob.ErrNotFound. The bytes are
// verified by blob.Stream's Collect, or by Get.
//
// An origin that keeps failing is left alone for a moment. The store only reads: Put and Delete are
// errors.ErrUnsupported. It keeps no blobs.
package peer

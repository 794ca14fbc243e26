// Package http is an origin that speaks the HTTP blob protocol: an S3-like bucket, or another Prism.
//
//	store:
//	  http:
//	    name: bucket
//	    endpoint: https://blobs.example.com/    # used verbatim: the hash is appended, no slash is added
//	    sharding_size: 0                        # n > 0 appends the first n characters of the hash and a slash before it
//	    dial_timeout: 5s
//	    header_timeout: 15s
//	    idle_timeout: 15s                       # of a body: no byte for so long ends the transfer
//
// An origin is not trusted: redirects are not followed, compressed bodies are refused, a body is never read beyond
// 2 MiB, a 200 without bytes is a miss, and everything that is neither a good 200 nor a plain 404 or 403 is an error
// and never blob.ErrNotFound. The bytes are verified by blob.Stream's Collect, or by Get.
//
// The store only reads: Put and Delete are errors.ErrUnsupported. It keeps no blobs and retries nothing.
package http

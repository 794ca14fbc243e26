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
// What is taken from an origin, and what is not, is said in stores/fetch. A 403 is a miss: a bucket that nobody may list
// says so of what it does not hold.
package http

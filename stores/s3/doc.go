// Package s3 keeps blobs in a bucket of S3, or of a server that speaks its protocol.
//
//	store:
//	  s3:
//	    name: bucket
//	    aws_id: AKIA…
//	    aws_secret_file: /etc/prism/aws_secret      # or aws_secret
//	    region: us-east-1                           # may be left out beside an endpoint
//	    bucket: blobs
//	    endpoint: https://s3.example.com            # of a server that is not AWS; the bucket becomes part of the path
//	    sharding_size: 0                            # n > 0 puts the first n characters of the hash and a slash before it
//	    acl: public-read                            # of new objects; none for buckets that refuse access lists
//	    dial_timeout: 5s
//	    header_timeout: 15s                         # from a request to its answer
//	    idle_timeout: 15s                           # of a body: no byte for so long ends the transfer
//
// The key of an object is the hash. Requests are signed (version 4); what is sent is not hashed again for that, but goes
// with its CRC32C, which the signature covers. Puts and lookups that fail for a passing reason are tried three times; no
// call takes longer than dial_timeout and twice header_timeout until it is answered. A server that keeps failing is left
// alone for a moment.
//
// Only an answer that says so is blob.ErrNotFound, and an empty object, which no blob is. A missing bucket, wrong keys
// and refused access are errors that say what to change. Has takes a refusal for "no", as buckets answer that do not let
// their keys list them. What is read is verified by blob.Stream's Collect, or by Get.
package s3

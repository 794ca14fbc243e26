// Package fetch is what the origins over HTTP have in common, whatever its version: a request for a blob, the judgement
// of its answer, and the body as a blob.Stream or a blob.Handle. Each of them says what the requests are and what
// carries them.
//
// An origin is not trusted: redirects are not followed, compressed bodies are refused, a body is never read beyond
// 2 MiB, a 200 without bytes is a miss, and everything that is neither a good 200 nor a plain answer of "no" is an error
// and never blob.ErrNotFound. The bytes are verified by blob.Stream's Collect, or by Get.
//
// One that keeps failing is left alone for a moment: calls then fail at once. Refused connections, time-outs, broken
// transfers and answers such as 500 are failures; a blob that is missing, protected or not what its name says is none.
//
// A Store only reads: Put and Delete are errors.ErrUnsupported. It keeps no blobs and retries nothing.
package fetch

// Package blob is the vocabulary of Prism: what a blob is called, how its bytes are proven, how they are held while
// they are sent, and the errors that callers branch on. It imports the standard library and internal/sha384, which hashes
// several blobs at once, and everything else imports it.
//
// A blob is 1 to MaxSize bytes, immutable, and named by the SHA-384 of its bytes. Three invariants live here:
//
//   - A Verified exists only for bytes whose SHA-384 was compared with their name, once. Stores take a Verified and
//     never hash again.
//   - A Stream is collected without an error only when the bytes that it gave match their name.
//   - A Handle pins what it reads until Release: the bytes do not change or go away under a reader.
//
// The package holds no store, no file and no socket.
package blob

// Package frontendtest asks the same questions over every frontend, whatever its protocol: blobs that are there, missing,
// malformed and protected; many at once; a client that does not read; a store that fails, panics or keeps a request
// waiting; and the drain.
//
// A frontend's test describes in a Front how it is started and asked, and calls Run. For the tests of its own it finds here
// a store that can be held up, broken and counted (Shelf, Hooks), and a server that must drain at its end (Serve).
package frontendtest

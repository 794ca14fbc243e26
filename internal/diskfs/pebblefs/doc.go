// Package pebblefs lets Pebble live on a diskfs.FS, so that the index and the segments share one file system: in the
// tests one power cut then hits both, and one fault reaches either.
//
// What must hold: a Sync that Pebble asks for is a Sync or a SyncDir below before it returns, and errors come back
// wrapped at most, so that errors.Is finds the system's. What is only advice to a kernel (SyncTo, Prefetch,
// Preallocate) does nothing. There are no hard links; Pebble copies instead.
package pebblefs

// Package crashtest holds the whole program, as a process of its own on a disk of this machine, to what the engine's
// tests prove on a file system in memory:
//
//   - TestKill ends a blobcache under load with SIGKILL, again and again, on one folder. No client ever gets a wrong byte,
//     the next start listens at once and is warm, and after a clean stop the checker finds nothing.
//
//   - TestCap puts many times the cap through a blobcache while slow readers hold blobs that are evicted meanwhile. What
//     the folder takes never passes max_size; with -loop the file system has no other user, and its own count of used
//     bytes never does either.
//
//   - TestReceipts ends a reflector with SIGKILL amidst uploads, again and again, over a disk that syncs always and over a
//     real S3 server. Every blob of which an uploader was told that it is kept is there at the next start.
//
//   - TestDrainOfUploads and TestDrainOfFills stop a reflector amidst 100 uploads and 100 downloads, and a blobcache amidst
//     100 downloads of which half wait for their fill, over all protocols. What moves is whole, what stalls for ever is
//     cut after drain_timeout, and nobody takes a cut body for a blob.
//
//   - TestPowerCuts shuts a loop-mounted ext4 and a loop-mounted XFS down under an engine in a process of its own, mounts
//     them again, and holds what is there to what the engine had acknowledged by then. It runs with -power-cuts alone.
//
// A SIGKILL takes nothing from the page cache: what TestKill loses is what the process had in memory. A shutdown loses all
// that the kernel had not written to the loop device. What it had written is kept, in whatever order that was: the device
// is a file of this machine, whose own power is not cut. A disk that keeps some writes and loses others, or tears them, is
// what engine/enginetest has.
//
// The tests print their seed and what they counted (-v). They are small by default; `make crash` runs them at length, on
// loop-mounted file systems, as root. Everything here is in tests.
package crashtest

// Package crashtest holds the whole program, as a process of its own on a disk of this machine, to what the engine's
// tests prove on a file system in memory:
//
//   - TestKill ends a blobcache under load with SIGKILL, again and again, on one folder. No client ever gets a wrong byte,
//     the next start listens at once and is warm, and after a clean stop the checker finds nothing.
//   - TestCap puts many times the cap through a blobcache while slow readers hold blobs that are evicted meanwhile. What
//     the folder takes never passes max_size; with -loop the file system has no other user, and its own count of used
//     bytes never does either.
//
// A SIGKILL takes nothing from the page cache, so this is not a test of power cuts: engine/enginetest is. What is lost
// here is what the process had in memory.
//
// Both tests print their seed and what they counted (-v). They are small by default; `make crash` runs them at length,
// on a loop-mounted file system, as root. Everything here is in tests.
package crashtest

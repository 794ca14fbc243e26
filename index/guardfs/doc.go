// Package guardfs is a vfs.FS that makes Pebble survive a failing disk.
//
// Pebble by itself does not: a log that cannot be created ends the process, a table or manifest that cannot be written
// is tried again in a hot loop, and writers and Close wait for ever. A guarded file system never lets such an error
// reach Pebble. At the first failed call that writes it latches: Failed is closed, Err keeps the error, and the call
// parks, which means that its goroutine sleeps until the process ends. From then on every call that would change
// anything parks as well, so that an abandoned Pebble cannot touch the folder any more. Reads go on.
//
// What fails a guarded file system: an error of create, write, sync, link, rename, reuse, mkdir, or of closing a file
// that was written. What does not: an error of open, read, stat, list, lock, remove or of asking for free space. Those
// come back as they are.
//
// That holds for pebble.Open too, which hangs on a failed write, or panics on a goroutine of its own: it is called on a
// goroutine that can be left behind, and Parked says that it will not come back.
//
// Sever ends the use of a failed file system. Then everything parks, reads included, and all that the abandoned Pebble
// has open is closed, so that neither descriptors nor the space of unlinked files nor the lock stay behind; what is left
// is the memory that the parked goroutines hold.
//
// Parked goroutines have ParkFrame in their stacks; goroutines of Pebble that wait for them are left too. A test for
// leaked goroutines may allow both after a failure, and only then.
//
// It also counts the bytes of the files that it was used to write (Usage), which is more exact than Pebble's own figures
// and can be asked for when Pebble no longer answers. To keep that figure what it says, files are not preallocated.
package guardfs

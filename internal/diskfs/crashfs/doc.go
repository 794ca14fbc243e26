// Package crashfs is a diskfs.FS in memory whose power can be cut. It is for tests: of what a disk holds after a crash,
// of full disks, of calls that fail, of blocks that cannot be read.
//
// # What a power cut leaves
//
// Cut gives a second file system that holds what a disk might hold if the power failed now. The choice is random and
// the same for the same seed and history. The rules are those of a journaling file system (ext4, XFS), taken at their
// harshest:
//
//   - Bytes. Each block of 4 KiB that was written since the last Sync of its file is, by itself, kept, dropped, left at
//     an earlier unsynced version, or torn: some of its sectors of 512 bytes are new, the others old. Disks do not
//     promise more. A dropped write to a block that held nothing leaves a hole, rarely a block of zeros.
//   - Length, preallocation, punches and truncation of one file take effect in their order, so that a prefix of those
//     since the last Sync survives; which one has nothing to do with the bytes. So a file can have its new length and
//     zeros in it. What was written to a block after a punch or a preallocation that did not survive is lost too.
//   - Names. Creations, renames and removals in one folder take effect in their order: a prefix of those since its last
//     SyncDir survives. Two folders have nothing to do with each other, but that a rename from one to the other is
//     seen in both or in neither. A file that was synced is gone when its name is not; so is everything in a folder
//     whose own name is gone. (Real file systems often keep the name of a file that was synced. They do not promise it.)
//   - A Sync that failed forgets, as Linux does, that the blocks were never written: the next Sync succeeds and does not
//     make them durable.
//
// # What it is not
//
// There are no mappings, no page cache to ask about, no symbolic links and no permissions. Times are those of the last
// write and survive as they were. Names need no syncs beyond those above, and folders occupy no space.
package crashfs

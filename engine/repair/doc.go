// Package repair makes a mount clean that no process has open, and says what was lost, blob by blob. It is for a mount in
// which package check found something.
//
// It reads the segments, whose slots describe themselves, and what can still be read of the index; decides for every
// record whether it stands; and writes a new index of those that do. The order of eviction is kept where the old index
// has it. What is bad goes to quarantine: files as they are, payloads as copies, the index as a folder.
//
// # Order of writes
//
//  1. the superblock, if it was damaged, with ids and sequences above all that were met;
//  2. files into quarantine or to the names that their headers give them, and copies of bad payloads into quarantine; what
//     the disk gives of a file whose header or table it does not give whole goes to a new one, which is synced first;
//  3. slots that must not count are marked dead or erased, lost ones are written again, stray bytes are cleared, and each
//     segment is synced;
//  4. the old index goes to quarantine;
//  5. the rows of the new index;
//  6. blocks that no record covers are given back, and each segment is synced;
//  7. the meta row, with a sync.
//
// Until 4 the old index is there to be read again; after it slots alone say what counts. An index without a meta row is
// one that was not finished. So a run that was interrupted anywhere is finished by the next one; after 4 that one has to
// do without the order that hits made.
//
// It does not import package engine.
package repair

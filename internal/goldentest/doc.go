// Package goldentest keeps a store of every format version that was ever written, and holds the programs of today to
// reading it: each opens, gives every blob, is clean for fsck, is dumped, and is migrated, into segments of the version
// that is written now and into one file a blob. What a newer program wrote is refused, and no byte of it is changed.
//
//	testdata/mount-1           a segment store
//	testdata/mount-unclean-1   the same, of a program that was killed: recovery is to do what it left
//	testdata/files-1           one file a blob, with the index of that mode
//	testdata/journal-1         the journal of a catalogue in write_behind
//	testdata/catalogue-1       the catalogue in one file
//
// They are archives (.tar.gz), which are never changed. When a format gets another version, its old reader stays, there is
// one more generation (update_test.go), with archives of its own beside the old ones, and the tests pass over all of them:
//
//	go test ./internal/goldentest -update
//
// which makes the archives that are missing, with what is written today, and no other.
//
// Everything here is in tests.
package goldentest

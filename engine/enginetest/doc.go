// Package enginetest holds the engine to its promises under power cuts. It runs a workload on a file system in memory,
// cuts the power before a chosen call, opens what a disk might then hold, and compares it with a model of what was
// promised at that moment:
//
//   - a blob whose Put is durable by the sync policy is there, with its own bytes;
//   - a blob whose Delete returned is not;
//   - every other blob is there with its own bytes, or is not;
//   - the checker finds nothing, and a second recovery changes nothing.
//
// It also makes the n-th call of the disk fail, or not return, in a number of scenarios (Trial), with the same model.
//
// A failed case saves the disk as it was after the cut, and prints the command that repeats the recovery. The package
// is a kit: tests import it, programs do not.
package enginetest

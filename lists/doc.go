// Package lists keeps two lists from the network: the SD blobs that are blocked, and those that are protected. It knows
// nothing of stores and servers; what a listed hash means to them is decided where lists are wired to them.
//
// # Where they come from
//
//	protected  an HTTPS answer that names the SD hashes
//	blocked    an HTTPS answer that names outputs of transactions. Each transaction is asked for at a hub, and the claim
//	           in the output's script names the SD hash
//
// A hub is not trusted: the TXID is the hash of the transaction, so that one which sends another transaction is found out
// and the next hub is asked. A transaction never changes, so what an output holds is asked for once and remembered.
//
// # Invariants
//
//   - A list is replaced as a whole by a better one, never by a failure. Whatever a server answers, the last good state
//     stays until an answer was read to its end.
//   - The last good state is on disk, in a file that is either whole or not used. A disk that fails costs the state after a
//     restart, and nothing before it.
//   - Contains never waits: neither for the network, nor for a disk, nor for a lock, and it allocates nothing.
//   - Close stops everything that Open started, and waits for it.
//   - What is read from the network is bounded in bytes and in time.
package lists

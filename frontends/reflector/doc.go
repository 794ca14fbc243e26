// Package reflector is the ingestion frontend: it takes blobs from uploaders over the TCP upload protocol and puts them
// into a store. The messages are in protocol/reflector; here are connections, deadlines, and what is promised when.
//
// # One connection
//
//	handshake      version 0 or 1, answered with the same; anything else is closed
//	request        a blob or an SD blob is offered: is it wanted?
//	  no           it is here, or blocked. For an SD blob the answer names what its stream lacks
//	  yes          the body follows, and after it the receipt; then the next request
//
// A blob that Options.Blocked names is not wanted. Of others it is what the store's stores.Wanter says, or else whether it
// Has the blob. What a stream lacks
// is what its stores.StreamKnower says, or else it is worked out from the SD blob that the store holds. An SD blob that is
// held and cannot be read as one is wanted again.
//
// # Invariants
//
//   - A receipt of true is sent only after the store's Put of those bytes, matched with their name, returned without an
//     error. A drain does not change that.
//   - A content blob that does not match, or that the store does not take, is answered false, and the connection closed.
//     An SD blob that fails for any reason is never answered: its uploader takes false for "the stream is complete". Other
//     errors close the connection too; none is sent as JSON.
//   - A body is read into one pooled buffer, hashed on its way, and given to the store from there. A place for it is taken
//     before it is asked for, and at most MaxUploads are taken.
//   - A blob that one connection sends is not asked for from another, which waits for the outcome instead: up to
//     TurnTimeout, then it may send the blob too. Stores take a blob twice without harm.
//   - Answers leave one by one, each in a write of its own, without delay. Uploaders of the SDK send a request only after
//     the answer to the last, so no two answers share a segment.
//   - A connection that waits for a message is closed after MessageTimeout; one whose body stands still, after
//     BodyWindow. A slow body that moves is never cut.
//
// Connections beyond MaxConnections, or MaxPerAddress from one address (of IPv6: from one /64), are closed at once.
//
// The package keeps no catalogue, does not decide what is blocked, and does not check more of a stream than that its SD
// blob can be read.
package reflector

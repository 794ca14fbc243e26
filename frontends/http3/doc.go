// Package http3d is the HTTP/3 frontend. What it answers is what frontends/http answers, by the same code, with two
// differences: Via is sent only where ?trace=true asks for it, and a protected blob is refused whatever the token.
//
// # Invariants
//
//   - Nothing is kept for an address that has not been seen to receive what is sent to it, beyond a few handshakes: from
//     suspectFrom handshakes under way on, a client must first echo a token (Retry).
//   - At most MaxConnections connections, of which MaxConnectionsPerAddress to one IPv4 address or IPv6 /64. Those beyond
//     are refused before any cryptography.
//   - A connection has at most 100 requests and three incoming unidirectional streams, which is what HTTP/3 needs. Its
//     receive windows are a few requests large: nothing else is to be received.
//   - A header of more than 8 KiB, decoded, is answered 431.
//   - A reader that keeps an answer waiting for RateWindow without taking MinRate × RateWindow bytes has its stream cut.
//     A window of flow control that is never opened is such a reader.
//   - A connection without a request for IdleTimeout is closed, whatever else arrives on it.
//
// There is no 0-RTT and so no replay, no datagrams and no server push. The bytes of a blob are copied into packets by
// quic-go, which encrypts them, so they are read into ordinary memory and never come from a mapping. It also makes the
// buffers of the socket as large as the system allows (7 MiB are enough), and says once in the log when that is too
// little: net.core.rmem_max and wmem_max are to be raised then.
package http3d

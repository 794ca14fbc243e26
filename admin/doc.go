// Package admin is the socket on which a program that serves mounts answers questions about them, and its client. It is
// HTTP/1.1 over a unix socket, so that curl is a client too:
//
//	curl --unix-socket /run/prism/admin.sock http://prism/mounts
//
// Requests are for the one mount, or for the one that ?mount=PATH names:
//
//	GET  /mounts   who answers, and for which mounts: Info, as JSON
//	GET  /stat     the figures of a mount: engine.Stats, as JSON
//	POST /flush    makes durable what was put; answers when it is, with 204
//	GET  /view     all rows of the index as they are at one moment: see index.View.WriteTo
//	POST /hold     Asked, as JSON: is the blob still at that place, is the segment still there; Held, as JSON
//
// An error is a status above 299 and a line of text for a person. /view and /hold exist for mounts in mode segments.
//
// What holds:
//
//   - The socket's file has mode 0600 from the moment it exists, and each connection's other end is asked of the kernel:
//     only root and the user that runs the program are answered.
//   - A socket that a killed program left behind is replaced. One that somebody answers on is not, and neither is
//     anything else at that path.
//   - Nobody can hold the program up: connections are bounded in number, each step of a request in time, and a view
//     ends with its request. No answer keeps an engine from evicting, unlinking or closing.
//
// It changes nothing of a mount but by /flush.
package admin

// Package httpblob holds the wire facts of the HTTP blob protocol that servers and clients share: paths, parameters,
// header names, and the Via header's JSON. It is pure bytes and values; sockets, requests and answers belong to
// frontends/http and stores/http.
//
// A server that speaks the protocol answers GET /blob?hash=H, GET and HEAD on /H and /PREFIX/H as an S3-like origin
// does, and /get/H and /has/H as over HTTP/3. Via goes on answers of 200 and 404:
//
//	Via: {"stacks":[{"origin_name":"disk-a","host_name":"edge1","timing":81000},…]}
//
// innermost store first, timing in nanoseconds. Deployed clients parse Via before they look at the status and fail
// when it is not JSON, so what EncodeVia gives is always valid JSON in printable ASCII, and bounded. What comes from
// others is read leniently: a trace is a help, never a reason to refuse a blob.
package httpblob

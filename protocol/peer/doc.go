// Package peer is the TCP peer protocol as bytes and values: what a client asks, what a server answers, and where a
// message ends. Sockets belong to frontends/peer and stores/peer.
//
// A client sends bare JSON objects, one after the other, over a connection that stays open:
//
//	{"requested_blobs": ["H", …], "lbrycrd_address": true, "blob_data_payment_rate": 0.0, "requested_blob": "H"}
//
// Each key may be left out; null is the same. Unknown keys are ignored, and of a key that is there twice the last one
// counts. Each request has one answer, one JSON object, followed by exactly "length" raw bytes where a requested_blob is
// there, with nothing between or after:
//
//	{"lbrycrd_address":A,"available_blobs":["H",…],"blob_data_payment_rate":"RATE_ACCEPTED",
//	 "incoming_blob":{"blob_hash":"H","length":N}}
//	{"lbrycrd_address":A,"available_blobs":[],"incoming_blob":{"error":"blob not found","blob_hash":"","length":0}}
//
// on one line each. Deployed clients depend on the details: they drop a connection over a key more, take "error" for a
// failure whatever it says, and read 512 bytes of JSON at most. Deployed servers read 512 bytes of a request at most.
//
// Where a message ends is not written anywhere: it is where its first brace is closed. Messages finds that place in what
// has come, looking at each byte once, with bounds on size and depth.
package peer

// Package reflector is the upload protocol as bytes and values: what uploaders send, what a server answers. It holds no
// socket; frontends/reflector serves it and frontends/upload/reflectclient speaks it.
//
// Both sides send one JSON object a step, back to back, without a delimiter. What each object looks like, as this
// package writes it:
//
//	client  {"version":1}                             0 or 1
//	server  {"version":1}                             the same
//
//	client  {"blob_hash":"H","blob_size":N}
//	server  {"send_blob":true}                        or false: it is here, or blocked
//	client  N bytes
//	server  {"received_blob":true}                    or false: nothing is promised
//
//	client  {"sd_blob_hash":"H","sd_blob_size":N}
//	server  {"send_sd_blob":true}                     or
//	        {"send_sd_blob":false}                    the stream is complete, or blocked
//	        {"send_sd_blob":false,"needed_blobs":["H",…]}
//	client  N bytes
//	server  {"received_sd_blob":true}                 there is no other receipt of an SD blob
//
// H is the wire form of a hash and N is 1 to blob.MaxSize. Other keys are ignored, and blanks between objects too. What
// an object says is read strictly: a number is digits, not "1", 1.0 or 1e0.
//
// Errors are never sent as JSON: a server that cannot go on closes the connection. Clients take false without
// needed_blobs, and false as the receipt of an SD blob, for "the stream is complete".
package reflector

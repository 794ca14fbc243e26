// Package upstream is an origin that is another Prism, asked through its HTTP server.
//
//	store:
//	  upstream:
//	    name: parent
//	    upstream: http://parent.example.com:5569/   # base URL; a path in it stands before /blob
//	    edge_token: "…"                             # opens protected blobs there; also edge_token_file
//	    dial_timeout: 5s
//	    header_timeout: 15s
//	    idle_timeout: 15s                           # of a body: no byte for so long ends the transfer
//
// A blob is asked for with GET /blob?hash=H, and whether it is there with HEAD. Older servers answer HEAD with 204 or 200.
// A blob that the other side protects is blob.ErrProtected, not a miss. The token is in no error and no log line.
//
// What else is taken from an origin, and what is not, is said in stores/fetch.
package upstream

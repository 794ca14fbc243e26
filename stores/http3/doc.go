// Package http3 is an origin that speaks the blob protocol over HTTP/3: another Prism, or an older server.
//
//	store:
//	  http3:
//	    name: parent
//	    address: parent.example.com:5568    # or https://parent.example.com:5568
//	    timeout: 30s                        # of each of the three below that is not given
//	    dial_timeout: 5s
//	    header_timeout: 15s                 # from the request to the answer
//	    idle_timeout: 15s                   # of a body: no byte for so long ends the transfer; of the connection, too
//	    verify_certificate: false
//
// Certificates are not verified unless verify_certificate says so: peers sign theirs themselves, and a blob proves itself
// by its hash. What an eavesdropper could learn, or somebody in between could refuse, is which blobs are asked for.
//
// All requests share one connection. It is made with the first of them, and again when it has died. Only /get/H?trace=true
// and /has/H are asked for. A blob that the other side protects is blob.ErrProtected, not a miss.
//
// What else is taken from an origin, and what is not, is said in stores/fetch.
package http3

package metrics

// errorTypes are the values of error_type, whether this program can tell them apart or not.
var errorTypes = [...]string{
	"conn_reset", "read_conn_reset", "write_conn_reset", "read_conn_timed_out", "no_network_activity",
	"write_conn_timed_out", "write_broken_pipe", "e_pipe", "e_timedout", "io_timeout", "unexpected_eof",
	"unexpected_eof_str", "json_syntax", "blob_too_big", "invalid_peer_json", "invalid_peer_data", "request_too_large",
	"deadline_exceeded", "hash_mismatch", "protected_blob", "invalid_blob_hash", "zero_byte_blob", "invalid_character",
	"blob_not_found", "no_error", "quic_protocol_violation", "other",
}

// legacy are the families of older servers.
type legacy struct {
	families

	blobDownloads, peerDownloads, http3Downloads, httpDownloads         family
	blobUploads, sdBlobUploads                                          family
	tcpIn, tcpOut, udpIn, udpOut, httpIn, httpOut                       family
	reflectorIn, s3Out, s3In, upstreamIn                                family
	httpQueue, http3Queue                                               family
	cacheHits, cacheMisses, cacheEvicts, originRequests, waitingRequest family
	speed, ittt, routines, errors                                       family
}

func newLegacy() *legacy {
	l := &legacy{families: families{prefix: "reflector_"}}
	l.blobDownloads = l.counter("blob_download_total", "Blobs sent to clients, over any protocol.")
	l.peerDownloads = l.counter("peer_download_total", "Blobs sent to clients over the TCP peer protocol.")
	l.http3Downloads = l.counter("http3_blob_download_total", "Blobs sent to clients over HTTP/3.")
	l.httpDownloads = l.counter("http_blob_download_total", "Blobs sent to clients over HTTP.")
	l.blobUploads = l.counter("blob_upload_total", "Blobs taken from uploaders, SD blobs not among them.")
	l.sdBlobUploads = l.counter("sdblob_upload_total", "SD blobs taken from uploaders.")

	l.tcpIn = l.counter("tcp_in_bytes", "Bytes of blobs fetched over the TCP peer protocol.")
	l.tcpOut = l.counter("tcp_out_bytes", "Bytes of blobs sent over the TCP peer protocol.")
	l.udpIn = l.counter("udp_in_bytes", "Bytes of blobs fetched over HTTP/3.")
	l.udpOut = l.counter("udp_out_bytes", "Bytes of blobs sent over HTTP/3.")
	l.httpIn = l.counter("http_in_bytes", "Bytes of blobs fetched over HTTP.")
	l.httpOut = l.counter("http_out_bytes", "Bytes of blobs sent over HTTP.")
	l.reflectorIn = l.counter("reflector_in_bytes", "Bytes of blobs taken from uploaders.")
	l.s3Out = l.counter("s3_out_bytes", "Bytes of blobs written to S3.")
	l.s3In = l.counter("s3_in_bytes", "Bytes of blobs read from S3.")
	l.upstreamIn = l.counter("upstream_in_bytes", "Bytes of blobs fetched from an upstream Prism.")

	l.httpQueue = l.gauge("http_blob_request_queue_size", "HTTP requests that wait for their turn.")
	l.http3Queue = l.gauge("http3_blob_request_queue_size", "HTTP/3 requests that wait for their turn.")

	l.cacheHits = l.counter("cache_hit_total", "Blobs that were in the cache.", "cache_type", "component")
	l.cacheMisses = l.counter("cache_miss_total", "Blobs that were not in the cache.", "cache_type", "component")
	l.cacheEvicts = l.counter("cache_evict_total", "Blobs evicted from the cache.", "cache_type", "component")
	l.originRequests = l.gauge("cache_origin_requests_total", "Fills from the origin under way.", "cache_type", "component")
	l.waitingRequest = l.gauge("cache_waiting_requests_total", "Requests that wait for a fill.", "cache_type", "component")
	l.speed = l.gauge("speed_mbps", "Speed of the last blob, in megabits per second.", "cache_type", "component", "source")
	l.ittt = l.counter("ittt_hits_total", "Blobs found by a store of an ittt.", "origin")
	l.routines = l.gauge("routines", "Tasks that run now.", "package", "kind")
	l.errors = l.counter("error_total", "Errors towards clients.", "direction", "error_type")
	return l
}

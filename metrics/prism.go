package metrics

// own are the families of this program. store is the store's name and path its place in the configuration, which also
// tells unnamed stores apart; mount is a folder.
type own struct {
	families

	build, openTime family

	storeHits, storeHitBytes, storeMisses    family
	storeBlobs, storeBytes, storeEvictions   family
	storePins                                family
	storeIn, storeOut, storeAsked, storeErrs family
	storeLeftAlone                           family
	fills, fillBytes, fillMisses, fillErrors family
	fillsWaiting, fillBuffers, originRunning family
	passedThrough, cacheErrors, negativeHits family

	diskLimit, diskUsed, diskFree, diskIndex, diskPending, diskLive, diskSD family
	diskSegments, diskOpenSegments, diskAside, diskBlobs                    family
	diskPuts, diskPutBytes, diskPutting, diskRejected, diskDeletes          family
	diskEvictions, diskEvictedBytes, diskKept, diskEvictAge                 family
	diskPunched, diskUnlinked, diskQuarantined, diskRecovered               family
	diskErrors, diskOpen, diskState, diskColdBuffers                        family
	indexStalls, indexSlow, indexDebt                                       family

	overHTTP, overHTTP3 httpFamilies
	overPeer            serverFamilies
	peerRequests        family

	http3Handshakes, http3Checks, http3CertEnds family

	uploads, uploadBytes, uploadRefused, uploadPanics family
	uploadsRunning, uploadConnections                 family
	receiptsSafe                                      family

	catalogue catalogueFamilies

	listEntries, listAge, listKnown, listFailing family
	listSkipped, listUnresolved                  family
	listRefreshes, listFailures                  family
}

func newOwn() *own {
	o := &own{families: families{prefix: "prism_"}}
	o.build = o.gauge("build_info", "1, with the version as a label.", "version", "goversion")
	o.openTime = o.gauge("open_seconds", "How long the stores took to open.")
	o.stores()
	o.disk()
	o.catalogues()
	o.overHTTP, o.overHTTP3, o.overPeer = o.http("http"), o.http("http3"), o.server("peer")
	o.peerRequests = o.counter("peer_requests_total", "Requests of peers that were understood.")
	o.http3Handshakes = o.gauge("http3_handshakes", "Handshakes under way.")
	o.http3Checks = o.counter("http3_address_checks_total", "Clients that had to prove their address before a handshake.")
	o.http3CertEnds = o.gauge("http3_certificate_end_timestamp_seconds", "When the certificate that is shown now ends.")
	o.reflector()
	o.lists()
	return o
}

func (o *own) stores() {
	labels := []string{"store", "path"}
	o.storeHits = o.counter("store_hits_total", "Gets that found the blob.", labels...)
	o.storeHitBytes = o.counter("store_hit_bytes_total", "Bytes of the blobs that Gets found.", labels...)
	o.storeMisses = o.counter("store_misses_total", "Gets that did not find the blob.", labels...)
	o.storeEvictions = o.counter("store_evictions_total", "Blobs evicted.", labels...)
	o.storeBlobs = o.gauge("store_blobs", "Blobs held.", labels...)
	o.storeBytes = o.gauge("store_payload_bytes", "Bytes of the blobs held.", labels...)
	o.storePins = o.gauge("store_pinned_handles", "Handles that readers hold.", labels...)

	o.storeIn = o.counter("store_in_bytes_total", "Bytes of blobs read from where the store keeps them.", labels...)
	o.storeOut = o.counter("store_out_bytes_total", "Bytes of blobs written to where the store keeps them.", labels...)
	o.storeAsked = o.counter("store_requests_total", "Requests sent to where the store keeps blobs, retries included.", labels...)
	o.storeLeftAlone = o.gauge("store_left_alone", "1 while an origin keeps failing and is not asked.", labels...)
	o.storeErrs = o.counter("store_errors_total", "Calls that failed, other than for missing blobs.", labels...)

	o.fills = o.counter("fills_total", "Requests to the origin for a blob.", labels...)
	o.fillBytes = o.counter("fill_bytes_total", "Bytes that came from the origin and were verified.", labels...)
	o.fillMisses = o.counter("fill_misses_total", "Fills that the origin answered with not found.", labels...)
	o.fillErrors = o.counter("fill_errors_total", "Fills that failed, by reason.", append(labels, "reason")...)
	o.originRunning = o.gauge("fills_running", "Requests to the origin under way.", labels...)
	o.fillsWaiting = o.gauge("fills_waiting_requests", "Requests that wait for a fill.", labels...)
	o.fillBuffers = o.gauge("fill_buffers", "Buffers of 2 MiB in use by fills.", labels...)
	o.passedThrough = o.counter("fills_passed_through_total", "Fills that the cache did not keep.", labels...)
	o.cacheErrors = o.counter("cache_errors_total", "Calls of the cache that failed; no client saw them.", labels...)
	o.negativeHits = o.counter("negative_hits_total", "Not found, answered from memory.", labels...)
}

func (o *own) disk() {
	labels := []string{"store", "mount"}
	o.diskLimit = o.gauge("disk_limit_bytes", "What the mount may use now.", labels...)
	o.diskUsed = o.gauge("disk_used_bytes", "What the mount uses, index and reserves included.", labels...)
	o.diskFree = o.gauge("disk_free_bytes", "What is free on the file system.", labels...)
	o.diskIndex = o.gauge("disk_index_bytes", "The index on disk.", labels...)
	o.diskPending = o.gauge("disk_pending_bytes", "Dead, and about to be given back.", labels...)
	o.diskLive = o.gauge("disk_live_bytes", "What the blobs held take, in whole blocks.", labels...)
	o.diskSD = o.gauge("disk_sd_bytes", "What the SD blobs among them take.", labels...)
	o.diskBlobs = o.gauge("disk_blobs", "Blobs held.", labels...)
	o.diskSegments = o.gauge("disk_segments", "Segments, by state.", append(labels, "state")...)

	o.diskPuts = o.counter("disk_puts_total", "Blobs written.", labels...)
	o.diskPutBytes = o.counter("disk_put_bytes_total", "Bytes of the blobs written.", labels...)
	o.diskPutting = o.gauge("disk_puts_in_flight", "Puts under way.", labels...)
	o.diskRejected = o.counter("disk_rejected_puts_total", "Puts turned away: full, or a failing disk.", labels...)
	o.diskDeletes = o.counter("disk_deletes_total", "Blobs deleted on request.", labels...)
	o.diskEvictions = o.counter("disk_evictions_total", "Blobs evicted.", labels...)
	o.diskEvictedBytes = o.counter("disk_evicted_bytes_total", "Bytes of the blobs evicted.", labels...)
	o.diskKept = o.counter("disk_kept_total", "Blobs that the evictor met and kept, because they were used.", labels...)
	o.diskEvictAge = o.gauge("disk_last_evicted_age_seconds", "Age of the blob that was evicted last.", labels...)
	o.diskPunched = o.counter("disk_punched_ranges_total", "Ranges given back to the file system.", labels...)
	o.diskUnlinked = o.counter("disk_unlinked_segments_total", "Segments removed.", labels...)
	o.diskOpenSegments = o.gauge("disk_open_segments", "Segments that are open and mapped.", labels...)
	o.diskAside = o.gauge("disk_aside_bytes", "Bytes of the mount that what was moved to quarantine takes.", labels...)
	o.diskQuarantined = o.counter("disk_quarantined_total", "Records taken out of use because they could not be read.", labels...)
	o.diskRecovered = o.counter("disk_recovered_blobs_total", "Blobs put back into the index after an unclean stop.", labels...)

	o.diskErrors = o.counter("disk_io_errors_total", "Faults of the disk, by kind.", append(labels, "kind")...)
	o.diskOpen = o.gauge("disk_open_seconds", "How long the mount took to open.", labels...)
	o.diskState = o.gauge("disk_condition", "1 while the condition holds: recovering, index_failed, full.", append(labels, "condition")...)
	o.diskColdBuffers = o.gauge("disk_cold_read_buffers", "Buffers of reads past the page cache that are in use.", labels...)
	o.indexStalls = o.counter("index_write_stalls_total", "Times that commits waited for the index.", labels...)
	o.indexSlow = o.counter("index_slow_writes_total", "Writes of the index that took longer than 5 s.", labels...)
	o.indexDebt = o.gauge("index_compaction_debt_bytes", "What the index still has to rewrite.", labels...)
}

// serverFamilies are those of a server that sends blobs.
type serverFamilies struct {
	bytes, slow, refused, panics           family
	waiting, running, sending, connections family
}

// httpFamilies are those of a server that answers HTTP requests.
type httpFamilies struct {
	serverFamilies
	requests family
}

// server makes the families of a server: its name goes before theirs.
func (o *own) server(name string) serverFamilies {
	return serverFamilies{
		bytes:       o.counter(name+"_out_bytes_total", "Bytes of blobs sent."),
		slow:        o.counter(name+"_slow_readers_total", "Answers cut because the reader was too slow."),
		refused:     o.counter(name+"_refused_connections_total", "Connections beyond what is allowed."),
		panics:      o.counter(name+"_panics_total", "Requests that ended in a panic."),
		waiting:     o.gauge(name+"_waiting_requests", "Requests that wait for their turn."),
		running:     o.gauge(name+"_running_requests", "Requests between their parse and the first byte of the answer."),
		sending:     o.gauge(name+"_sending_responses", "Answers whose body is on its way."),
		connections: o.gauge(name+"_connections", "Open connections."),
	}
}

// http makes the families of an HTTP server.
func (o *own) http(name string) httpFamilies {
	return httpFamilies{
		serverFamilies: o.server(name),
		requests:       o.counter(name+"_requests_total", "Answers, by kind of path and status; 499 is a client that left.", "path", "status"),
	}
}

func (o *own) reflector() {
	o.uploads = o.counter("reflector_uploads_total", "Blobs taken from uploaders, by kind.", "kind")
	o.uploadBytes = o.counter("reflector_in_bytes_total", "Bytes of bodies from uploaders, whatever became of them.")
	o.uploadRefused = o.counter("reflector_refused_connections_total", "Connections beyond what is allowed.")
	o.uploadPanics = o.counter("reflector_panics_total", "Connections that ended in a panic.")
	o.uploadsRunning = o.gauge("reflector_uploads_running", "Bodies on their way, or on their way into the store.")
	o.receiptsSafe = o.gauge("reflector_receipts_safe", "0 when a power cut may take a blob that an uploader was told is stored.")
	o.uploadConnections = o.gauge("reflector_connections", "Open connections of uploaders.")
}

func (o *own) lists() {
	o.listEntries = o.gauge("list_entries", "Hashes on the list: blocked or protected.", "list")
	o.listAge = o.gauge("list_age_seconds", "Time since the list was good, or since the start while it never was.", "list")
	o.listKnown = o.gauge("list_known", "1 once there is a good state of the list, be it an old one from disk.", "list")
	o.listFailing = o.gauge("list_failing", "1 while the last refresh of the list failed; the log says why.", "list")
	o.listSkipped = o.gauge("list_skipped_entries", "Entries of the list that name no stream, or cannot be read.", "list")
	o.listUnresolved = o.gauge("list_unresolved_entries", "Entries of the list whose transaction no hub gives.", "list")
	o.listRefreshes = o.counter("list_refreshes_total", "Attempts to refresh the list.", "list")
	o.listFailures = o.counter("list_failures_total", "Those of them that failed.", "list")
}

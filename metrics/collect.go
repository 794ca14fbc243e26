package metrics

import (
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/OdyseeTeam/prism/engine"
	httpd "github.com/OdyseeTeam/prism/frontends/http"
	http3d "github.com/OdyseeTeam/prism/frontends/http3"
	peerd "github.com/OdyseeTeam/prism/frontends/peer"
	"github.com/OdyseeTeam/prism/frontends/reflector"
	"github.com/OdyseeTeam/prism/lists"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/caching"
	"github.com/OdyseeTeam/prism/stores/compose"
	"github.com/OdyseeTeam/prism/stores/dbbacked"
	"github.com/OdyseeTeam/prism/stores/disk"
	"github.com/OdyseeTeam/prism/stores/fetch"
	"github.com/OdyseeTeam/prism/stores/gcache"
	"github.com/OdyseeTeam/prism/stores/ittt"
	"github.com/OdyseeTeam/prism/stores/mem"
	"github.com/OdyseeTeam/prism/stores/peer"
	"github.com/OdyseeTeam/prism/stores/s3"
)

// Sources are what a scrape asks. Tree is open; Asking must be safe until the metrics server has
// stopped.
type Sources struct {
	Tree *compose.Tree
	// Servers that are there; nil is none.
	HTTP      interface{ Stats() httpd.Stats }
	HTTP3     interface{ Stats() http3d.Stats }
	Peer      interface{ Stats() peerd.Stats }
	Reflector interface{ Stats() reflector.Stats }
	// Lists that are fetched; nil is none.
	Blocked   interface{ Stats() lists.Stats }
	Protected interface{ Stats() lists.Stats }
	Version   string
	OpenTime  time.Duration // of the whole tree
}

// collector makes the samples of a scrape.
type collector struct {
	Sources
	legacy *legacy
	own    *own
}

func newCollector(s Sources) *collector {
	return &collector{Sources: s, legacy: newLegacy(), own: newOwn()}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, list := range [...][]*prometheus.Desc{c.legacy.all, c.own.all} {
		for _, d := range list {
			out <- d
		}
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := sink(out)
	s.put(c.own.build, 1, c.Version, runtime.Version())
	s.put(c.own.openTime, c.OpenTime.Seconds())
	total := totals{in: map[string]uint64{}, ittt: map[string]int64{}, caches: map[cacheKey]*cacheTotals{}}
	c.Tree.Walk(func(p *compose.Part, _ int) { c.collectStore(s, p, &total) })
	var now servers
	now.ask(&c.Sources)
	c.own.overHTTP.put(s, now.http)
	c.collectHTTP3(s, now.http3)
	c.collectPeer(s, now.peer)
	c.collectReflector(s, now.reflector)
	c.collectLists(s, now.blocked, "blocked")
	c.collectLists(s, now.protected, "protected")
	c.collectLegacy(s, &now, &total)
}

// servers is what all servers and lists say at the time of a scrape; those that are not there say nothing but zeros.
type servers struct {
	http               httpd.Stats
	http3              http3d.Stats
	peer               peerd.Stats
	reflector          reflector.Stats
	blocked, protected lists.Stats
}

func (v *servers) ask(s *Sources) {
	if s.HTTP != nil {
		v.http = s.HTTP.Stats()
	}
	if s.HTTP3 != nil {
		v.http3 = s.HTTP3.Stats()
	}
	if s.Peer != nil {
		v.peer = s.Peer.Stats()
	}
	if s.Reflector != nil {
		v.reflector = s.Reflector.Stats()
	}
	if s.Blocked != nil {
		v.blocked = s.Blocked.Stats()
	}
	if s.Protected != nil {
		v.protected = s.Protected.Stats()
	}
}

// collectStore puts what one store knows about itself.
func (c *collector) collectStore(s sink, p *compose.Part, total *totals) {
	store, path := p.Store(), p.At.Path()
	labels := []string{store.Name(), path}
	if pinner, ok := store.(stores.Pinner); ok {
		s.put(c.own.storePins, float64(pinner.Pinned()), labels...)
	}
	switch store := store.(type) {
	case *caching.Store:
		c.collectCaching(s, store.Stats(), labels)
		total.addCaching(p, store)
	case *disk.Store:
		st := store.Stats()
		s.put(c.own.storeHits, float64(st.Hits), labels...)
		s.put(c.own.storeHitBytes, float64(st.HitBytes), labels...)
		s.put(c.own.storeMisses, float64(st.Misses), labels...)
		s.put(c.own.storeEvictions, float64(st.Evicted), labels...)
		s.put(c.own.storeBlobs, float64(st.Blobs), labels...)
		c.collectDisk(s, st, store.Name())
	case *gcache.Store:
		st := store.Stats()
		s.put(c.own.storeHits, float64(st.Hits), labels...)
		s.put(c.own.storeMisses, float64(st.Misses), labels...)
		s.put(c.own.storeEvictions, float64(st.Evicted), labels...)
		s.put(c.own.storeBlobs, float64(st.Blobs), labels...)
	case *s3.Store:
		st := store.Stats()
		s.put(c.own.storeIn, float64(st.BytesIn), labels...)
		s.put(c.own.storeOut, float64(st.BytesOut), labels...)
		s.put(c.own.storeAsked, float64(st.Requests), labels...)
		s.put(c.own.storeErrs, float64(st.Errors), labels...)
		s.put(c.own.storeLeftAlone, number(st.Open), labels...)
		total.in[p.Kind] += uint64(st.BytesIn)
		total.s3Out += st.BytesOut
	case interface{ Stats() fetch.Stats }:
		st := store.Stats()
		c.collectOrigin(s, p, st.BytesIn, st.Open, total)
	case *peer.Store:
		st := store.Stats()
		c.collectOrigin(s, p, st.BytesIn, st.Open, total)
	case *dbbacked.Store:
		c.own.catalogue.put(s, store.Stats(), labels)
	case *ittt.Store:
		total.addITTT(store.Stats())
	case *mem.Store:
		st := store.Stats()
		s.put(c.own.storeBlobs, float64(st.Blobs), labels...)
		s.put(c.own.storeBytes, float64(st.Bytes), labels...)
	}
}

// collectOrigin puts what a store knows that reads from another server.
func (c *collector) collectOrigin(s sink, p *compose.Part, in uint64, alone bool, total *totals) {
	labels := []string{p.Store().Name(), p.At.Path()}
	s.put(c.own.storeIn, float64(in), labels...)
	s.put(c.own.storeLeftAlone, number(alone), labels...)
	total.in[p.Kind] += in
}

// collectCaching puts what a cache over an origin knows about itself.
func (c *collector) collectCaching(s sink, st caching.Stats, labels []string) {
	o := c.own
	for _, v := range []struct {
		family family
		value  int64
	}{
		{o.storeHits, st.Hits}, {o.storeHitBytes, st.HitBytes}, {o.storeMisses, st.Misses},
		{o.fills, st.Fills}, {o.fillBytes, st.FilledBytes}, {o.fillMisses, st.OriginMisses},
		{o.originRunning, st.OriginInFlight}, {o.fillsWaiting, st.Waiting}, {o.fillBuffers, st.FillBuffers},
		{o.passedThrough, st.PassedThrough}, {o.cacheErrors, st.CacheErrors}, {o.negativeHits, st.NegativeHits},
	} {
		s.put(v.family, float64(v.value), labels...)
	}
	for reason, n := range st.FillErrors {
		s.put(o.fillErrors, float64(n), append(labels, reason)...)
	}
}

// collectDisk puts what a mount knows about itself.
func (c *collector) collectDisk(s sink, st engine.Stats, name string) {
	o, l := c.own, []string{name, st.Dir}
	for _, v := range []struct {
		family family
		value  int64
	}{
		{o.diskLimit, st.Limit}, {o.diskUsed, st.Used}, {o.diskFree, st.FSFree}, {o.diskIndex, st.Index},
		{o.diskPending, st.Pending}, {o.diskLive, st.LiveBytes}, {o.diskSD, st.SDBytes}, {o.diskBlobs, st.Blobs},
		{o.diskPuts, st.Puts}, {o.diskPutBytes, st.PutBytes}, {o.diskPutting, st.PutsInFlight},
		{o.diskRejected, st.Rejected}, {o.diskDeletes, st.Deletes}, {o.diskEvictions, st.Evicted},
		{o.diskEvictedBytes, st.EvictedBytes}, {o.diskKept, st.Kept}, {o.diskPunched, st.Punched},
		{o.diskOpenSegments, int64(st.Open)}, {o.diskAside, st.Aside},
		{o.diskUnlinked, st.Unlinked}, {o.diskQuarantined, st.Quarantined}, {o.diskRecovered, st.RecoveredBlobs},
		{o.diskColdBuffers, int64(st.ColdBuffers)}, {o.indexStalls, st.Pebble.WriteStalls},
		{o.indexSlow, st.Pebble.SlowWrites}, {o.indexDebt, st.Pebble.CompactionDebt},
	} {
		s.put(v.family, float64(v.value), l...)
	}
	s.put(o.diskOpen, st.OpenTime.Seconds(), l...)
	s.put(o.diskEvictAge, st.LastEvictedAge.Seconds(), l...)
	for state, n := range st.Segments {
		s.put(o.diskSegments, float64(n), append(l, state)...)
	}
	for kind, n := range st.IOErrors {
		s.put(o.diskErrors, float64(n), append(l, kind)...)
	}
	for condition, holds := range map[string]bool{"recovering": st.Recovering, "index_failed": st.IndexFailed, "full": st.Full} {
		s.put(o.diskState, number(holds), append(l, condition)...)
	}
}

// put puts what an HTTP server knows about itself.
func (f *httpFamilies) put(s sink, st httpd.Stats) {
	for _, r := range st.Requests {
		s.put(f.requests, float64(r.Count), r.Path, strconv.Itoa(r.Status))
	}
	f.serverFamilies.put(s, peerd.Stats{
		BytesOut: st.BytesOut, SlowReaders: st.SlowReaders, Refused: st.Refused, Panics: st.Panics,
		Queue: st.Queue, InFlight: st.InFlight, Sending: st.Sending, Connections: st.Connections,
	})
}

// put puts what every server that sends blobs knows about itself, which is what a peer server does.
func (f *serverFamilies) put(s sink, st peerd.Stats) {
	s.put(f.bytes, float64(st.BytesOut))
	s.put(f.slow, float64(st.SlowReaders))
	s.put(f.refused, float64(st.Refused))
	s.put(f.panics, float64(st.Panics))
	s.put(f.waiting, float64(st.Queue))
	s.put(f.running, float64(st.InFlight))
	s.put(f.sending, float64(st.Sending))
	s.put(f.connections, float64(st.Connections))
}

func (c *collector) collectHTTP3(s sink, st http3d.Stats) {
	c.own.overHTTP3.put(s, st.Stats)
	s.put(c.own.http3Handshakes, float64(st.Handshakes))
	s.put(c.own.http3Checks, float64(st.Retries))
	if !st.CertificateEnds.IsZero() {
		s.put(c.own.http3CertEnds, float64(st.CertificateEnds.Unix()))
	}
}

func (c *collector) collectPeer(s sink, st peerd.Stats) {
	s.put(c.own.peerRequests, float64(st.Requests))
	c.own.overPeer.put(s, st)
}

func (c *collector) collectReflector(s sink, st reflector.Stats) {
	o := c.own
	s.put(o.uploads, float64(st.Blobs), "content")
	s.put(o.uploads, float64(st.SDBlobs), "sd")
	s.put(o.uploadBytes, float64(st.BytesIn))
	s.put(o.uploadRefused, float64(st.Refused))
	s.put(o.uploadPanics, float64(st.Panics))
	s.put(o.uploadsRunning, float64(st.Uploads))
	s.put(o.uploadConnections, float64(st.Connections))
	if c.Reflector != nil {
		s.put(o.receiptsSafe, number(stores.VolatileOf(c.Tree.Store()) == ""))
	}
}

// collectLists puts what a list knows about itself.
func (c *collector) collectLists(s sink, st lists.Stats, name string) {
	o := c.own
	s.put(o.listEntries, float64(st.Entries), name)
	s.put(o.listAge, st.Age.Seconds(), name)
	s.put(o.listKnown, number(st.Known), name)
	s.put(o.listFailing, number(st.LastError != ""), name)
	s.put(o.listSkipped, float64(st.Skipped), name)
	s.put(o.listUnresolved, float64(st.Unresolved), name)
	s.put(o.listRefreshes, float64(st.Refreshes), name)
	s.put(o.listFailures, float64(st.Failures), name)
}

// collectLegacy puts the series of older servers; those of parts that are not there are zero.
func (c *collector) collectLegacy(s sink, now *servers, total *totals) {
	l := c.legacy
	for _, v := range []struct {
		family family
		value  uint64
	}{
		{l.blobDownloads, now.http.Downloads + now.http3.Downloads + now.peer.Downloads},
		{l.httpDownloads, now.http.Downloads}, {l.http3Downloads, now.http3.Downloads}, {l.peerDownloads, now.peer.Downloads},
		{l.httpOut, now.http.BytesOut}, {l.udpOut, now.http3.BytesOut}, {l.tcpOut, now.peer.BytesOut},
		{l.blobUploads, now.reflector.Blobs}, {l.sdBlobUploads, now.reflector.SDBlobs},
		{l.reflectorIn, now.reflector.BytesIn},
		{l.httpIn, total.in["http"]}, {l.udpIn, total.in["http3"]}, {l.tcpIn, total.in["peer"]},
		{l.upstreamIn, total.in["upstream"]}, {l.s3In, total.in["s3"]},
	} {
		s.put(v.family, float64(v.value))
	}
	for _, v := range []struct {
		family family
		value  int64
	}{
		{l.httpQueue, now.http.Queue}, {l.http3Queue, now.http3.Queue},
		{l.s3Out, total.s3Out},
	} {
		s.put(v.family, float64(v.value))
	}
	for key, v := range total.caches {
		labels := []string{key.cacheType, key.component}
		s.put(l.cacheHits, float64(v.hits), labels...)
		s.put(l.cacheMisses, float64(v.misses), labels...)
		s.put(l.cacheEvicts, float64(v.evicted), labels...)
		s.put(l.originRequests, float64(v.origin), labels...)
		s.put(l.waitingRequest, float64(v.waiting), labels...)
		s.put(l.speed, v.cacheMbps, append(labels, "cache")...)
		s.put(l.speed, v.originMbps, append(labels, "origin")...)
	}
	for origin, n := range total.ittt {
		s.put(l.ittt, float64(n), origin)
	}
	for server, n := range map[string]int64{"http": now.http.InFlight, "http3": now.http3.InFlight, "peer": now.peer.InFlight} {
		s.put(l.routines, float64(n), server, "worker")
	}
	for _, kind := range errorTypes {
		s.put(l.errors, float64(now.http.Errors[kind]+now.http3.Errors[kind]+now.peer.Errors[kind]), "download", kind)
		s.put(l.errors, float64(now.reflector.Errors[kind]), "upload", kind)
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

package metrics

import (
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/OdyseeTeam/prism/engine"
	httpd "github.com/OdyseeTeam/prism/frontends/http"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/caching"
	"github.com/OdyseeTeam/prism/stores/compose"
	"github.com/OdyseeTeam/prism/stores/disk"
	"github.com/OdyseeTeam/prism/stores/gcache"
	"github.com/OdyseeTeam/prism/stores/mem"
)

// Sources are what a scrape asks. Tree is open; HTTP may be nil. Asking must be safe until the metrics server has
// stopped.
type Sources struct {
	Tree     *compose.Tree
	HTTP     interface{ Stats() httpd.Stats }
	Version  string
	OpenTime time.Duration // of the whole tree
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
	var total totals
	c.Tree.Walk(func(p *compose.Part, _ int) { c.collectStore(s, p, &total) })
	var http httpd.Stats
	if c.HTTP != nil {
		http = c.HTTP.Stats()
	}
	c.collectHTTP(s, http)
	c.collectLegacy(s, http, &total)
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
	case *mem.Store:
		st := store.Stats()
		s.put(c.own.storeBlobs, float64(st.Blobs), labels...)
		s.put(c.own.storeBytes, float64(st.Bytes), labels...)
	}
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

// collectHTTP puts what the HTTP server knows about itself.
func (c *collector) collectHTTP(s sink, st httpd.Stats) {
	o := c.own
	for _, r := range st.Requests {
		s.put(o.httpRequests, float64(r.Count), r.Path, strconv.Itoa(r.Status))
	}
	s.put(o.httpBytes, float64(st.BytesOut))
	s.put(o.httpSlow, float64(st.SlowReaders))
	s.put(o.httpRefused, float64(st.Refused))
	s.put(o.httpPanics, float64(st.Panics))
	s.put(o.httpWaiting, float64(st.Queue))
	s.put(o.httpRunning, float64(st.InFlight))
	s.put(o.httpSending, float64(st.Sending))
	s.put(o.httpConnections, float64(st.Connections))
}

// collectLegacy puts the series of older servers; those of parts that are not there are zero.
func (c *collector) collectLegacy(s sink, http httpd.Stats, total *totals) {
	l := c.legacy
	s.put(l.blobDownloads, float64(http.Downloads))
	s.put(l.httpDownloads, float64(http.Downloads))
	s.put(l.httpOut, float64(http.BytesOut))
	s.put(l.httpQueue, float64(http.Queue))
	s.put(l.httpIn, float64(total.httpIn))
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
	s.put(l.routines, float64(http.InFlight), "http", "worker")
	s.zero(l.peerDownloads, l.http3Downloads, l.blobUploads, l.sdBlobUploads, l.tcpIn, l.tcpOut, l.udpIn, l.udpOut,
		l.reflectorIn, l.s3Out, l.s3In, l.upstreamIn, l.http3Queue)
	for _, kind := range errorTypes {
		s.put(l.errors, float64(http.Errors[kind]), "download", kind)
		s.put(l.errors, 0, "upload", kind)
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

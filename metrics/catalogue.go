package metrics

import "github.com/OdyseeTeam/prism/stores/dbbacked"

// catalogueFamilies are those of a store with a catalogue.
type catalogueFamilies struct {
	journal, oldest, journalBytes, whole, journalFailed      family
	errors, failing, batches, told, dropped                  family
	comparing, compared, differences, lastCompared, notNoted family
}

func (o *own) catalogues() {
	labels := []string{"store", "path"}
	c := &o.catalogue
	c.journal = o.gauge("catalogue_journal_entries", "Blobs with news that the catalogue was not told yet.", labels...)
	c.oldest = o.gauge("catalogue_journal_oldest_seconds", "Age of the oldest of them.", labels...)
	c.journalBytes = o.gauge("catalogue_journal_bytes", "The journal on disk.", labels...)
	c.whole = o.gauge("catalogue_journal_whole", "1 when the catalogue lacks nothing but what the journal has.", labels...)
	c.journalFailed = o.gauge("catalogue_journal_failed", "1 when the disk under the journal has failed.", labels...)
	c.notNoted = o.counter("catalogue_journal_lost_total", "Changes that were not noted; a comparison finds them.", labels...)
	c.errors = o.counter("catalogue_errors_total", "Calls of the catalogue that failed.", labels...)
	c.failing = o.gauge("catalogue_failing_seconds", "For how long the catalogue has been failing; 0 while it answers.", labels...)
	c.batches = o.counter("catalogue_batches_total", "Batches of news that the catalogue was told.", labels...)
	c.told = o.counter("catalogue_told_total", "Blobs in them, by news: put, gone, touched.", append(labels, "news")...)
	c.dropped = o.counter("catalogue_touches_dropped_total", "Accesses that were not noted anywhere.", labels...)
	c.comparing = o.gauge("catalogue_comparing", "1 while store and catalogue are being compared.", labels...)
	c.compared = o.gauge("catalogue_compared_blobs", "Blobs that the comparison under way, or the last one, has looked at.", labels...)
	c.differences = o.gauge("catalogue_differences", "Differences that the last comparison found.", labels...)
	c.lastCompared = o.gauge("catalogue_last_comparison_seconds", "Since the end of the last comparison; 0 before the first.", labels...)
}

// put puts what a store with a catalogue knows about itself.
func (c *catalogueFamilies) put(s sink, st dbbacked.Stats, labels []string) {
	for _, v := range []struct {
		family family
		value  float64
	}{
		{c.journal, float64(st.Journal.Entries)},
		{c.oldest, st.Journal.Oldest.Seconds()},
		{c.journalBytes, float64(st.Journal.Bytes)},
		{c.whole, number(st.Journal.Whole)},
		{c.journalFailed, number(st.Journal.Failed)},
		{c.notNoted, float64(st.Journal.Lost)},
		{c.errors, float64(st.Errors)},
		{c.failing, st.Failing.Seconds()},
		{c.batches, float64(st.Batches)},
		{c.dropped, float64(st.Dropped)},
		{c.comparing, number(st.Comparing)},
		{c.compared, float64(st.Compared)},
		{c.differences, float64(st.Differences)},
		{c.lastCompared, st.LastCompared.Seconds()},
	} {
		s.put(v.family, v.value, labels...)
	}
	for news, n := range map[string]uint64{"put": st.Puts, "gone": st.Gone, "touched": st.Touches} {
		s.put(c.told, float64(n), append(labels[:len(labels):len(labels)], news)...)
	}
}

// Package metrics turns the Stats snapshots of the other floors into Prometheus series, and serves them with the
// profiles of the process.
//
// Nothing is counted here: a scrape asks every store and server for its snapshot, so a series cannot differ from what
// the program itself knows. Lower floors stay free of Prometheus.
//
// Series under reflector_ have the names and labels that dashboards of older servers ask for; some have the form of
// counters and are gauges, because they always were. New series are under prism_. They exist from the start, at zero, those
// of parts that this program does not have included. Two families begin with their first event, because the values of
// their labels are not known before: prism_http_requests_total, and reflector_ittt_hits_total.
package metrics

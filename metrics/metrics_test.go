package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/check/checktest"
	httpd "github.com/OdyseeTeam/prism/frontends/http"
	http3d "github.com/OdyseeTeam/prism/frontends/http3"
	"github.com/OdyseeTeam/prism/frontends/reflector"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/internal/yamlnode"
	"github.com/OdyseeTeam/prism/metrics"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/all"
	"github.com/OdyseeTeam/prism/stores/compose"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

// openTree opens a tree of stores from a configuration.
func openTree(t *testing.T, doc string) *compose.Tree {
	t.Helper()
	r := &yamlnode.Report{}
	none := func(string) (string, bool) { return "", false }
	root := yamlnode.Parse("f.yaml", []byte(doc), none, r)
	if root == nil {
		t.Fatal(r.Err())
	}
	node, _ := root.Map(r).Value("store")
	tree := compose.Check(all.Kinds(), node, r)
	if tree == nil {
		t.Fatal(r.Err())
	}
	checktest.AfterConfigured(t, doc)
	if err := tree.Open(t.Context(), compose.Env{Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tree.Close(); err != nil {
			t.Error(err)
		}
	})
	return tree
}

// serve starts a metrics server and gives its base URL.
func serve(t *testing.T, s metrics.Sources) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(metrics.NewServer(s, slog.New(slog.DiscardHandler)).Start(ln))
	return "http://" + ln.Addr().String()
}

// get is the body of a page.
func get(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v\n%s", url, res.Status, err, body)
	}
	return string(body)
}

// scrape is all series with their values.
func scrape(t *testing.T, base string) map[string]float64 {
	t.Helper()
	series := map[string]float64{}
	for line := range strings.Lines(get(t, base+"/metrics")) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(strings.TrimSpace(line[i+1:]), 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		series[line[:i]] = v
	}
	return series
}

const caches = `
store:
  caching:
    name: edge
    cache:
      disk: {name: a, mount_point: %s, max_size: 256MB, segment_size: 16MB}
    origin:
      http: {endpoint: "%s/"}
`

// dashboards are the series that dashboards of older servers ask for, with the labels of a blobcache.
func dashboards() []string {
	names := []string{
		"blob_download_total", "peer_download_total", "http3_blob_download_total", "http_blob_download_total",
		"blob_upload_total", "sdblob_upload_total", "tcp_in_bytes", "tcp_out_bytes", "udp_in_bytes", "udp_out_bytes",
		"http_in_bytes", "http_out_bytes", "reflector_in_bytes", "s3_out_bytes", "s3_in_bytes", "upstream_in_bytes",
		"http_blob_request_queue_size", "http3_blob_request_queue_size", `routines{kind="worker",package="http"}`,
		`routines{kind="worker",package="http3"}`, `routines{kind="worker",package="peer"}`,
		`speed_mbps{cache_type="sf_disk-a",component="edge",source="cache"}`,
		`speed_mbps{cache_type="sf_disk-a",component="edge",source="origin"}`,
	}
	for _, name := range []string{"hit_total", "miss_total", "evict_total", "origin_requests_total", "waiting_requests_total"} {
		names = append(names, "cache_"+name+`{cache_type="sf_disk-a",component="edge"}`)
	}
	const errorTypes = `conn_reset, read_conn_reset, write_conn_reset, read_conn_timed_out,
no_network_activity, write_conn_timed_out, write_broken_pipe, e_pipe, e_timedout, io_timeout, unexpected_eof, unexpected_eof_str, json_syntax, blob_too_big, invalid_peer_json, invalid_peer_data, request_too_large, deadline_exceeded, hash_mismatch, protected_blob, invalid_blob_hash, zero_byte_blob,
invalid_character, blob_not_found, no_error, quic_protocol_violation, other`
	for _, direction := range []string{"upload", "download"} {
		for _, kind := range regexp.MustCompile(`[a-z_]+`).FindAllString(errorTypes, -1) {
			names = append(names, fmt.Sprintf(`error_total{direction="%s",error_type="%s"}`, direction, kind))
		}
	}
	for i, n := range names {
		names[i] = "reflector_" + n
	}
	return names
}

func TestSeries(t *testing.T) {
	leaktest.Check(t)
	data := []byte(strings.Repeat("blob ", 1000))
	hash := blob.Sum(data)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/"+hash.String() {
			_, _ = w.Write(data)
			return
		}
		http.NotFound(w, r)
	}))
	defer origin.Close()
	defer http.DefaultClient.CloseIdleConnections()
	tree := openTree(t, fmt.Sprintf(caches, t.TempDir(), origin.URL))
	server, err := httpd.New(httpd.Options{Store: tree.Store(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	base := serve(t, metrics.Sources{Tree: tree, HTTP: server, Version: "v1", OpenTime: time.Second})
	blobs := serveHTTP(t, server)

	before := scrape(t, base)
	for _, name := range dashboards() {
		if v, ok := before[name]; !ok || v != 0 {
			t.Errorf("at the start %s is %v, there: %v", name, v, ok)
		}
	}
	for name := range before {
		known := strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") || strings.HasPrefix(name, "prism_")
		if !known && !slices.Contains(dashboards(), name) {
			t.Errorf("%s is in no list", name)
		}
	}

	for range 3 { // one fill, two hits
		if got := get(t, blobs+"/blob?hash="+hash.String()); got != string(data) {
			t.Fatalf("%d bytes, want %d", len(got), len(data))
		}
	}
	missing := blob.Sum(nil)
	res, err := http.Get(blobs + "/blob?hash=" + missing.String())
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()

	mount := tree.Root.Children[0].Describe()
	mount = strings.Split(mount, ", ")[1]
	size := float64(len(data))
	path := `path="store.caching",store="caching"`
	disk := `path="store.caching.cache.disk",store="disk-a"`
	onMount := fmt.Sprintf(`mount="%s",store="disk-a"`, mount)
	want := map[string]float64{
		"reflector_blob_download_total":                                                  3,
		"reflector_http_blob_download_total":                                             3,
		"reflector_http_out_bytes":                                                       3 * size,
		"reflector_http_in_bytes":                                                        size,
		`reflector_cache_hit_total{cache_type="sf_disk-a",component="edge"}`:             2,
		`reflector_cache_miss_total{cache_type="sf_disk-a",component="edge"}`:            2,
		`reflector_cache_evict_total{cache_type="sf_disk-a",component="edge"}`:           0,
		`reflector_error_total{direction="download",error_type="blob_not_found"}`:        1,
		`prism_store_hits_total{` + path + `}`:                                           2,
		`prism_store_hit_bytes_total{` + path + `}`:                                      2 * size,
		`prism_store_misses_total{` + path + `}`:                                         2,
		`prism_fills_total{` + path + `}`:                                                2,
		`prism_fill_bytes_total{` + path + `}`:                                           size,
		`prism_fill_misses_total{` + path + `}`:                                          1,
		`prism_fill_errors_total{path="store.caching",reason="corrupt",store="caching"}`: 0,
		`prism_store_blobs{` + disk + `}`:                                                1,
		`prism_disk_puts_total{` + onMount + `}`:                                         1,
		`prism_disk_put_bytes_total{` + onMount + `}`:                                    size,
		`prism_disk_live_bytes{` + onMount + `}`:                                         8192,
		`prism_disk_limit_bytes{` + onMount + `}`:                                        256 << 20,
		`prism_disk_evictions_total{` + onMount + `}`:                                    0,
		`prism_disk_condition{condition="full",mount="` + mount + `",store="disk-a"}`:    0,
		`prism_disk_io_errors_total{kind="sync",mount="` + mount + `",store="disk-a"}`:   0,
		`prism_disk_segments{mount="` + mount + `",state="failed",store="disk-a"}`:       0,
		`prism_http_requests_total{path="blob",status="200"}`:                            3,
		`prism_http_requests_total{path="blob",status="404"}`:                            1,
		`prism_open_seconds`:                                                             1,
	}
	after := await(t, base, want)
	for name, v := range want {
		if got, ok := after[name]; !ok || got != v {
			t.Errorf("%s is %v (there: %v), want %v", name, got, ok, v)
		}
	}
	for _, name := range []string{
		`reflector_speed_mbps{cache_type="sf_disk-a",component="edge",source="cache"}`,
		`reflector_speed_mbps{cache_type="sf_disk-a",component="edge",source="origin"}`,
		`prism_disk_used_bytes{` + onMount + `}`, `prism_disk_free_bytes{` + onMount + `}`,
		`prism_disk_index_bytes{` + onMount + `}`, `prism_disk_open_seconds{` + onMount + `}`,
		"go_goroutines", "process_open_fds",
	} {
		if after[name] <= 0 {
			t.Errorf("%s is %v, want more than 0", name, after[name])
		}
	}
	if !slices.ContainsFunc(slices.Collect(keys(after)), func(n string) bool {
		return strings.HasPrefix(n, `prism_build_info{goversion="go`) && strings.HasSuffix(n, `version="v1"}`)
	}) {
		t.Error("prism_build_info is not there")
	}
}

func keys(m map[string]float64) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// await scrapes until want is there, because what follows the last byte of an answer is counted after it left.
func await(t *testing.T, base string, want map[string]float64) map[string]float64 {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for {
		got := scrape(t, base)
		same := true
		for name, v := range want {
			same = same && got[name] == v
		}
		if same || time.Now().After(deadline) {
			return got
		}
	}
}

// serveHTTP runs the blob server and gives its base URL.
func serveHTTP(t *testing.T, server *httpd.Server) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return "http://" + ln.Addr().String()
}

// TestITTT counts what each store of an ittt gives, and adds up those that have one name.
func TestITTT(t *testing.T) {
	tree := openTree(t, "store: {ittt: {this: {mem: {name: near}}, that: {ittt: {this: {noop: }, that: {mem: {name: near}}}}}}")
	base := serve(t, metrics.Sources{Tree: tree})
	want := map[string]float64{"mem-near": 0, "ittt": 0, "noop": 0}
	demand := func() {
		t.Helper()
		series := scrape(t, base)
		for origin, n := range want {
			name := fmt.Sprintf("reflector_ittt_hits_total{origin=%q}", origin)
			if got, ok := series[name]; !ok || got != n {
				t.Errorf("%s is %v (there: %v), want %v", name, got, ok, n)
			}
		}
	}
	demand()
	data := []byte("a blob")
	v, err := blob.Verify(blob.Sum(data), data)
	if err != nil {
		t.Fatal(err)
	}
	near, far := tree.Root.Children[0], tree.Root.Children[1].Children[1]
	for _, store := range []stores.Store{near.Store(), far.Store()} {
		if err := store.Put(t.Context(), v, blob.KindContent); err != nil {
			t.Fatal(err)
		}
		handle, err := tree.Store().Get(t.Context(), v.Hash())
		if err != nil {
			t.Fatal(err)
		}
		handle.Release()
		if err := store.Delete(t.Context(), v.Hash()); err != nil {
			t.Fatal(err)
		}
	}
	want = map[string]float64{"mem-near": 2, "ittt": 1, "noop": 0}
	demand()
}

// TestLeftAlone has origins that nobody listens for: once each has failed often enough it is left alone, and says so.
func TestLeftAlone(t *testing.T) {
	leaktest.Check(t)
	defer http.DefaultClient.CloseIdleConnections()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	for kind, options := range map[string]string{
		"http":     "{name: a, endpoint: http://" + addr + "/}",
		"upstream": "{name: a, upstream: http://" + addr + "/}",
		"peer":     "{name: a, address: " + addr + "}",
		"s3":       "{name: a, aws_id: i, aws_secret: s, bucket: b, endpoint: http://" + addr + "}",
	} {
		tree := openTree(t, "store: {"+kind+": "+options+"}")
		base := serve(t, metrics.Sources{Tree: tree})
		name := fmt.Sprintf(`prism_store_left_alone{path="store.%s",store="%s-a"}`, kind, kind)
		if v, ok := scrape(t, base)[name]; !ok || v != 0 {
			t.Errorf("at the start %s is %v, there: %v", name, v, ok)
		}
		left := false
		for try := 0; !left && try < 100; try++ {
			if _, err := tree.Store().Get(t.Context(), blob.Hash{1}); !errors.Is(err, blob.ErrUnavailable) {
				t.Fatalf("%s: %v", kind, err)
			}
			left = scrape(t, base)[name] == 1
		}
		if !left {
			t.Errorf("%s never was 1", name)
		}
	}
}

// TestReceipts has a reflector over stores that keep what they promise, and over some that do not.
func TestReceipts(t *testing.T) {
	leaktest.Check(t)
	defer http.DefaultClient.CloseIdleConnections()
	const name = "prism_reflector_receipts_safe"
	for doc, want := range map[string]float64{
		"store: {disk: {name: a, mount_point: %s, max_size: 256MB, segment_size: 16MB, sync: always}}":   1,
		"store: {disk: {name: a, mount_point: %s, max_size: 256MB, segment_size: 16MB, sync: interval}}": 0,
	} {
		tree := openTree(t, fmt.Sprintf(doc, t.TempDir()))
		server, err := reflector.New(reflector.Options{Store: tree.Store(), Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := scrape(t, serve(t, metrics.Sources{Tree: tree, Reflector: server}))[name]; !ok || got != want {
			t.Errorf("%s: %s is %v (there: %v), want %v", doc, name, got, ok, want)
		}
		if _, ok := scrape(t, serve(t, metrics.Sources{Tree: tree}))[name]; ok {
			t.Errorf("%s is there without a reflector", name)
		}
	}
}

// TestHTTP3 has a server with a certificate of its own.
func TestHTTP3(t *testing.T) {
	leaktest.Check(t)
	defer http.DefaultClient.CloseIdleConnections()
	tree := openTree(t, "store: {mem: {name: a}}")
	server, err := http3d.New(http3d.Options{Options: httpd.Options{Store: tree.Store(), Logger: slog.New(slog.DiscardHandler)}})
	if err != nil {
		t.Fatal(err)
	}
	const ends = "prism_http3_certificate_end_timestamp_seconds"
	series := scrape(t, serve(t, metrics.Sources{Tree: tree, HTTP3: server}))
	if left := series[ends] - float64(time.Now().Unix()); left < 9*365*24*3600 {
		t.Errorf("%s is %v: %v s from now", ends, series[ends], left)
	}
	for _, name := range []string{"prism_http3_handshakes", "prism_http3_address_checks_total"} {
		if v, ok := series[name]; !ok || v != 0 {
			t.Errorf("%s is %v, there: %v", name, v, ok)
		}
	}
	if _, ok := scrape(t, serve(t, metrics.Sources{Tree: tree}))[ends]; ok {
		t.Errorf("%s is there without a server", ends)
	}
}

// TestTwins has stores that nothing but their place tells apart: they are not one series twice.
func TestTwins(t *testing.T) {
	leaktest.Check(t)
	defer http.DefaultClient.CloseIdleConnections()
	tree := openTree(t, `
store:
  caching:
    cache: {mem: }
    origin:
      caching:
        cache: {gcache: {max_size: 2, store: {mem: }}}
        origin: {gcache: {max_size: 2, store: {mem: }}}
`)
	series := scrape(t, serve(t, metrics.Sources{Tree: tree}))
	for _, name := range []string{
		`prism_store_hits_total{path="store.caching",store="caching"}`,
		`prism_store_hits_total{path="store.caching.origin.caching",store="caching"}`,
		`prism_store_blobs{path="store.caching.origin.caching.origin.gcache",store="gcache"}`,
		`prism_store_blobs{path="store.caching.origin.caching.origin.gcache.store.mem",store="mem"}`,
		`reflector_cache_hit_total{cache_type="sf_mem-",component=""}`,
		`reflector_cache_hit_total{cache_type="sf_gcache-",component=""}`,
		`reflector_http_out_bytes`,
	} {
		if v, ok := series[name]; !ok || v != 0 {
			t.Errorf("%s is %v, there: %v", name, v, ok)
		}
	}
}

// TestConventions holds our own names to Prometheus's conventions; the old ones are as they are.
func TestConventions(t *testing.T) {
	leaktest.Check(t)
	defer http.DefaultClient.CloseIdleConnections()
	tree := openTree(t, fmt.Sprintf(caches, t.TempDir(), "http://127.0.0.1:1"))
	var own strings.Builder
	for line := range strings.Lines(get(t, serve(t, metrics.Sources{Tree: tree})+"/metrics")) {
		if strings.HasPrefix(line, "prism_") || strings.HasPrefix(line, "# HELP prism_") || strings.HasPrefix(line, "# TYPE prism_") {
			own.WriteString(line)
		}
	}
	found, err := promlint.New(strings.NewReader(own.String())).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range found {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestProfiles(t *testing.T) {
	leaktest.Check(t)
	defer http.DefaultClient.CloseIdleConnections()
	base := serve(t, metrics.Sources{Tree: openTree(t, "store: {mem: }")})
	if got := get(t, base+"/debug/pprof/"); !strings.Contains(got, "goroutine") {
		t.Errorf("the index of profiles is %q", got)
	}
	if got := get(t, base+"/debug/pprof/goroutine?debug=1"); !strings.Contains(got, "goroutine profile: total") {
		t.Errorf("the profile of goroutines is %.100q", got)
	}
	res, err := http.Get(base + "/")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("/ is %s, want 404", res.Status)
	}
}

// TestCatalogue reads what a store with a catalogue says of itself.
func TestCatalogue(t *testing.T) {
	dir := t.TempDir()
	tree := openTree(t, fmt.Sprintf(`
store:
  db_backed: {name: c, path: %[1]s/c.db, sync: write_behind, access_tracking: 2, store: {disk: {mount_point: %[1]s/m}}}
`, dir))
	v := storetest.Blob(t, 1, 5000)
	if err := tree.Store().Put(t.Context(), v, blob.KindContent); err != nil {
		t.Fatal(err)
	}
	const labels = `path="store.db_backed",store="db_backed-c"`
	await(t, serve(t, metrics.Sources{Tree: tree}), map[string]float64{
		`prism_catalogue_journal_entries{` + labels + `}`:                            0,
		`prism_catalogue_journal_whole{` + labels + `}`:                              1,
		`prism_catalogue_failing_seconds{` + labels + `}`:                            0,
		`prism_catalogue_told_total{news="put",` + labels + `}`:                      1,
		`prism_catalogue_told_total{news="gone",` + labels + `}`:                     0,
		`prism_catalogue_errors_total{` + labels + `}`:                               0,
		`prism_store_pinned_handles{path="store.db_backed.store.disk",store="disk"}`: 0,
	})
}

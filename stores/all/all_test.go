package all_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/check/checktest"
	"github.com/OdyseeTeam/prism/internal/yamlnode"
	"github.com/OdyseeTeam/prism/stores/all"
	"github.com/OdyseeTeam/prism/stores/compose"
	"github.com/OdyseeTeam/prism/stores/storetest"
)

// check reads what stands under "store:".
func check(doc string) (*compose.Tree, *yamlnode.Report) {
	r := &yamlnode.Report{}
	root := yamlnode.Parse("f.yaml", []byte(doc), os.LookupEnv, r)
	if root == nil {
		return nil, r
	}
	node, ok := root.Map(r).Value("store")
	if !ok {
		r.Errorf(root, "no store")
		return nil, r
	}
	return compose.Check(all.Kinds(), node, r), r
}

func problems(r *yamlnode.Report) string {
	if err := r.Err(); err != nil {
		return err.Error()
	}
	return ""
}

func warnings(r *yamlnode.Report) string {
	var out []string
	for _, w := range r.Warnings() {
		out = append(out, w.Error())
	}
	return strings.Join(out, "\n")
}

// TestKeys reads every key of every kind; what a kind makes of it shows in its description.
func TestKeys(t *testing.T) {
	f := func(doc, want string) {
		t.Helper()
		tree, r := check("store: " + doc)
		if tree == nil {
			t.Errorf("%s:\n%s", doc, problems(r))
			return
		}
		var got strings.Builder
		if err := tree.Print(&got); err != nil {
			t.Fatal(err)
		}
		if got.String() != want || warnings(r) != "" {
			t.Errorf("%s: is\n%swant\n%swarnings %s", doc, &got, want, warnings(r))
		}
	}
	f("{mem: }", "store: mem\n")
	f("{MEM: {NAME: a}}", "store: mem a\n")
	f("{noop: {name: 5}}", "store: noop 5\n")
	f("{disk: {mount_point: /none/a}}", "store: disk /none/a\n")
	f("{disk: {name: d, mount_point: /none/a, sharding_size: '2', max_size: 10TB}}", "store: disk d, /none/a, at most 10TiB\n")
	f("{disk: {mount_point: /none/a, mode: Segments, max_size: 500gb, min_free: 1G, segment_size: 64MB, sync: Always, eviction: lru, index_cache: 128MB}}",
		"store: disk /none/a, segments, at most 500GiB, sync always, eviction lru\n")
	f("{http: {endpoint: 'https://user:secret@o.example/b/?key=secret', name: o, sharding_size: 4, dial_timeout: 1s, header_timeout: 2s, idle_timeout: 3000000000}}",
		"store: http o, https://user:xxxxx@o.example/b/?…\n")
	f("{peer: {name: n, address: 'h:1', timeout: 30000000000}}", "store: peer n, h:1\n")
	f("{peer: {address: '[::1]:5567', dial_timeout: 1s, header_timeout: 2s, idle_timeout: 3s}}", "store: peer [::1]:5567\n")
	f("{s3: {name: n, aws_id: i, aws_secret: s, region: r, bucket: b, sharding_size: 4, acl: NONE, dial_timeout: 1s, header_timeout: 2s, idle_timeout: 3s}}",
		"store: s3 n, bucket b in r, acl none\n")
	f("{s3: {aws_id: i, aws_secret: s, bucket: b, endpoint: s3.example.com}}", "store: s3 bucket b at s3.example.com\n")
	f("{http3: {name: p, address: 'https://h.example:5568', timeout: 30s, dial_timeout: 1s, header_timeout: 2s, idle_timeout: 3s, verify_certificate: true}}",
		"store: http3 p, https://h.example:5568\n")
	f("{http3: {address: 'h:1', timeout: 0}}", "store: http3 h:1\n")
	f("{upstream: {name: u, upstream: 'http://me:secret@h:1', edge_token: t0ken, dial_timeout: 1s}}", "store: upstream u, http://me:xxxxx@h:1\n")
	f("{caching: {name: c, cache: {mem: }, origin: {noop: }}}", "store: caching c\n  cache: mem\n  origin: noop\n")
	f("{caching: {negative_ttl: 0, cache: {mem: }, origin: {noop: }}}", "store: caching no negative answers kept\n  cache: mem\n  origin: noop\n")
	f("{caching: {negative_ttl: 7s, cache: {mem: }, origin: {noop: }}}", "store: caching negative answers kept 7s\n  cache: mem\n  origin: noop\n")
	f("{singleflight: {component: s, store: {mem: }}}", "store: singleflight s\n  store: mem\n")
	f("{ittt: {name: i, this: {mem: }, that: {noop: }}}", "store: ittt i\n  this: mem\n  that: noop\n")
	f("{multiwriter: {name: m, one: {mem: }, two: {noop: }}}", "store: multiwriter m\n  one: mem\n  two: noop\n")
	f("{multiwriter: {destinations: [{mem: }, {noop: }]}}", "store: multiwriter\n  destinations[0]: mem\n  destinations[1]: noop\n")
	f("{proxied-s3: {name: p, writer: {mem: }, reader: {noop: }}}", "store: proxied-s3 p\n  writer: mem\n  reader: noop\n")
	f("{proxied-s3: {writer: {mem: }}}", "store: proxied-s3 read by its writer\n  writer: mem\n")
	f("{gcache: {name: g, max_size: '500', strategy: 3, store: {mem: }}}", "store: gcache g, 500 blobs\n  store: mem\n")
}

// TestProblems covers bad inputs 63 and 66 for the keys of stores.
func TestProblems(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(doc, want string) {
		t.Helper()
		tree, r := check("store: " + doc)
		if got := problems(r); got != want || tree != nil {
			t.Errorf("%s:\n got %s\nwant %s", doc, got, want)
		}
	}
	disk := func(keys, want string) {
		t.Helper()
		f("{disk: {mount_point: /none/a, "+keys+"}}", want)
	}
	f("{disk: }", "f.yaml:1:15: store.disk: the key mount_point is missing; it is the folder to keep blobs in")
	f("{disk: {mount_point: "+file+"}}", "f.yaml:1:29: store.disk.mount_point: "+file+" is not a folder")
	f("{disk: {mount_point: ''}}", "f.yaml:1:29: store.disk.mount_point: this is empty; it is the folder to keep blobs in")
	f("{http: {endpoint: ''}}", "f.yaml:1:26: store.http.endpoint: this is empty; it is the address that hashes are appended to, such as https://example.com/blobs/")
	disk("max_size: 1e9", `f.yaml:1:48: store.disk.max_size: "1e9" is not a size; write a whole number with a unit, such as 500GB or 20MiB`)
	disk("max_size: -1", `f.yaml:1:48: store.disk.max_size: "-1" is negative; a size is 0 or more`)
	disk("max_size: 0", `f.yaml:1:48: store.disk.max_size: "0" is too small; want at least 1B`)
	disk("max_size: ''", "f.yaml:1:48: store.disk.max_size: a size is missing; write a whole number with a unit, such as 500GB")
	disk("max_size: 9999999PB", `f.yaml:1:48: store.disk.max_size: "9999999PB" is too large; the largest size is just under 8EiB`)
	disk("segment_size: 1MB", `f.yaml:1:52: store.disk.segment_size: "1MB" is too small; want at least 2MiB`)
	disk("sharding_size: 96", "f.yaml:1:53: store.disk.sharding_size: 96 is out of range; want 0 to 95")
	disk("sharding_size: -1", "f.yaml:1:53: store.disk.sharding_size: -1 is out of range; want 0 to 95")
	disk("sync: sometimes", `f.yaml:1:44: store.disk.sync: "sometimes" is not known; want always or interval or never`)
	disk("mode: segment", `f.yaml:1:44: store.disk.mode: "segment" is not known; did you mean segments?`)
	disk("mode: segments, sharding_size: 2", "f.yaml:1:15: store.disk: disk: bad settings: sharding_size 2 says one file a blob, and mode says segments: drop one of them")
	disk("mountpoint: /b", "f.yaml:1:38: store.disk.mountpoint: unknown key; did you mean mount_point?")
	disk("scrub_period: -1s", "f.yaml:1:52: store.disk.scrub_period: -1s is negative; write a duration such as 30s")
	f("{http: }", "f.yaml:1:15: store.http: the key endpoint is missing; it is the address that hashes are appended to, such as https://example.com/blobs/")
	f("{http: {endpoint: o.example}}", "f.yaml:1:26: store.http.endpoint: this is not an address such as https://example.com/")
	f("{http: {endpoint: 'https://o.example'}}", "f.yaml:1:15: store.http: http: endpoint needs a host and a slash or a query after it")
	f("{http: {endpoint: 'https://o.example/', dial_timeout: -1s}}", "f.yaml:1:62: store.http.dial_timeout: -1s is negative; write a duration such as 30s")
	f("{http: {endpoint: 'https://o.example/', idle_timeout: 0}}", "f.yaml:1:62: store.http.idle_timeout: 0 is too short; want at least 1ms")
	f("{peer: }", "f.yaml:1:15: store.peer: the key address is missing; it is the server to ask, such as example.com:5567")
	f("{peer: {address: ''}}", "f.yaml:1:25: store.peer.address: this is empty; it is the server to ask, such as example.com:5567")
	f("{peer: {address: h}}", `f.yaml:1:15: store.peer: peer: address is "h", want a host and a port such as example.com:5567`)
	f("{peer: {address: 'h:1', timeout: -1s}}", "f.yaml:1:41: store.peer.timeout: -1s is negative; write a duration such as 30s")
	f("{peer: {address: 'h:1', idle_timeout: 0}}", "f.yaml:1:46: store.peer.idle_timeout: 0 is too short; want at least 1ms")
	f("{s3: {aws_secret: s, region: r}}", "f.yaml:1:13: store.s3: the key aws_id is missing; it is the id of the key that may use the bucket\n"+
		"f.yaml:1:13: store.s3: the key bucket is missing; it is the name of the bucket to keep blobs in")
	f("{s3: {aws_id: i, region: r, bucket: b}}", "f.yaml:1:13: store.s3: the key aws_secret is missing; it, or aws_secret_file, is the secret of the key aws_id")
	f("{s3: {aws_id: i, aws_secret: s, bucket: b}}", "f.yaml:1:13: store.s3: s3: region is missing; it is the one that the bucket is in, such as us-east-1")
	f("{s3: {aws_id: i, aws_secret: s, bucket: b, endpoint: 'https://user:pass@h'}}",
		"f.yaml:1:13: store.s3: s3: endpoint is more than an address such as https://s3.example.com; keys go into aws_id and aws_secret")
	f("{s3: {aws_id: i, aws_secret: s, region: r, bucket: b, acl: public}}", `f.yaml:1:67: store.s3.acl: "public" is not known; `+
		"want none or private or public-read or public-read-write or authenticated-read or aws-exec-read or bucket-owner-read or bucket-owner-full-control")
	f("{s3: {aws_id: i, aws_secret_file: /none/secret, region: r, bucket: b}}",
		"f.yaml:1:42: store.s3.aws_secret_file: stat /none/secret: no such file or directory")
	f("{http3: }", "f.yaml:1:16: store.http3: the key address is missing; it is the host and port of the other server, such as example.com:5568")
	f("{http3: {address: h}}", "f.yaml:1:16: store.http3: http3: the address needs a host and a port, such as example.com:5568")
	f("{http3: {timeoutt: 1s, address: 'h:1'}}", "f.yaml:1:17: store.http3.timeoutt: unknown key; did you mean timeout?")
	f("{upstream: }", "f.yaml:1:19: store.upstream: the key upstream is missing; it is the address of the other server, such as https://example.com:5569/")
	f("{upstream: {upstream: 'http://h/?edge_token=secret'}}", "f.yaml:1:19: store.upstream: upstream: the address is that of a server, without ? and #; a token goes into edge_token")
	f("{caching: {cache: {mem: }}}", "f.yaml:1:18: store.caching: the key origin is missing; put a kind of store under it, such as disk or http")
	f("{caching: {cache: {mem: }, origin: {noop: }, negative_ttl: -1s}}", "f.yaml:1:67: store.caching.negative_ttl: -1s is negative; write a duration such as 30s")
	f("{ittt: {this: {mem: }}}", "f.yaml:1:15: store.ittt: the key that is missing; put a kind of store under it, such as disk or http")
	f("{multiwriter: {name: m}}", "f.yaml:1:22: store.multiwriter: the key destinations is missing; list under it the stores to write to")
	f("{multiwriter: {destinations: []}}", "f.yaml:1:37: store.multiwriter.destinations: there is no destination; list stores, each under a dash")
	f("{multiwriter: {destinations: [{mem: }, {disk: {}}]}}",
		"f.yaml:1:54: store.multiwriter.destinations[1].disk: the key mount_point is missing; it is the folder to keep blobs in")
	f("{multiwriter: {one: {disk: {mount_point: /none/a}}, two: {disk: {mount_point: /none/a}}}}",
		"f.yaml:1:86: store.multiwriter.two.disk.mount_point: /none/a is the folder of another store already, in line 1; give each store its own")
	f("{proxied-s3: {reader: {mem: }}}", "f.yaml:1:21: store.proxied-s3: the key writer is missing; put a kind of store under it, such as disk or http")
	f("{gcache: {store: {mem: }}}", "f.yaml:1:17: store.gcache: the key max_size is missing; it is the number of blobs to keep, such as 500")
	f("{gcache: {max_size: 500MB, store: {mem: }}}", `f.yaml:1:28: store.gcache.max_size: "500MB" is not a whole number`)
	f("{gcache: {max_size: 5, strategy: 4, store: {mem: }}}", "f.yaml:1:41: store.gcache.strategy: 4 is out of range; want 0 to 3")
	f("{caching: {cache: {disk: {mount_point: /none/a}}, origin: {disk: {mount_point: /none/b/../a}}}}",
		"f.yaml:1:87: store.caching.origin.disk.mount_point: /none/b/../a is the folder of another store already, in line 1; give each store its own")
}

func TestWarnings(t *testing.T) {
	f := func(doc, want string) {
		t.Helper()
		tree, r := check("store: " + doc)
		if got := warnings(r); got != want || tree == nil {
			t.Errorf("%s:\n got %s\nwant %s\nproblems %s", doc, got, want, problems(r))
		}
	}
	f("{disk: {mount_point: /none/a, scrub_period: 720h}}", "")
	f("{disk: {mount_point: /none/a, sharding_size: 2, scrub_period: 0}}", "")
	f("{disk: {mount_point: /none/a, sharding_size: 2, scrub_period: 720h}}",
		"f.yaml:1:56: store.disk.scrub_period: has no effect with one file a blob: only segments are scrubbed")
	f("{singleflight: {name: n, store: {mem: }}}", "f.yaml:1:24: store.singleflight.name: has no effect: component names it")
	f("{multiwriter: {one: {mem: }, two: {mem: }, three: {mem: }}}",
		"f.yaml:1:51: store.multiwriter.three: is written to, where older servers ignored it")
	f("{mem: {name: 007}}", `f.yaml:1:21: store.mem.name: 007 without quotes is the text "7"; quote it to keep it as it is`)
}

// TestDBBacked reads what files say of catalogues, those of older servers included.
func TestDBBacked(t *testing.T) {
	printed := func(doc, want string) {
		t.Helper()
		tree, r := check("store: " + doc)
		if tree == nil {
			t.Errorf("%s: %s", doc, problems(r))
			return
		}
		var out strings.Builder
		if err := tree.Print(&out); err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSuffix(out.String(), "\n"); got != want {
			t.Errorf("%s:\n got %s\nwant %s", doc, got, want)
		}
	}
	const server = "user: u, password: p, host: h, database: 5"
	printed("{db_backed: {name: d, "+server+", port: '3306', has_cap: 'true', max_size: 500GB, access_tracking: 1, soft_deletes: 1,"+
		" delete_on_miss: false, log_queries: false, store: {disk: {mount_point: /none/a}}}}",
		"store: db_backed d, catalogue 5 at h:3306, sync write_behind, the disk under it at most 500GiB\n"+
			"  store: disk /none/a, at most 500GiB (of the store above)")
	printed("{db_backed: {path: /p, has_cap: true, max_size: 2GB, sync: write_through, store: {disk: {mount_point: /none/a, max_size: 1GB}}}}",
		"store: db_backed catalogue /p, sync write_through, the disk under it at most 2GiB\n  store: disk /none/a, at most 1GiB")
	printed("{db_backed: {path: /p, has_cap: true, max_size: 1GB, store: {singleflight: {store: {disk: {mount_point: /none/a, max_size: 2GB}}}}}}",
		"store: db_backed catalogue /p, sync write_behind, the disk under it at most 1GiB\n  store: singleflight\n"+
			"    store: disk /none/a, at most 1GiB (of the store above)")
	printed("{db_backed: {"+server+", store: {mem: }}}", "store: db_backed catalogue 5 at h:3306, sync write_through\n  store: mem")
	printed("{db_backed: {path: /p, sync: write_behind, journal: /none/j, store: {mem: }}}",
		"store: db_backed catalogue /p, sync write_behind\n  store: mem")
	printed("{db_backed: {path: /p, sync: write_behind, store: {disk: {mount_point: /none/a}}}}",
		"store: db_backed catalogue /p, sync write_behind\n  store: disk /none/a")

	wrong := func(doc, want string) {
		t.Helper()
		tree, r := check("store: " + doc)
		if got := problems(r); tree != nil || !strings.Contains(got, want) || strings.Contains(got, "\n") {
			t.Errorf("%s:\n got %s\nwant %s", doc, got, want)
		}
	}
	wrong("{db_backed: {store: {mem: }}}", "store.db_backed: neither host nor path is given")
	wrong("{db_backed: {"+server+", path: /p, store: {mem: }}}", "store.db_backed.host: both host and path are given")
	wrong("{db_backed: {host: h, user: u, password: p, store: {mem: }}}", "the key database is missing")
	wrong("{db_backed: {"+server+", sync: write_behind, store: {mem: }}}", "name a folder for it with the key journal")
	wrong("{db_backed: {"+server+", has_cap: true, store: {disk: {mount_point: /none/a}}}}", "the key max_size is missing")
	wrong("{db_backed: {"+server+", has_cap: true, max_size: 1GB, store: {mem: }}}", "store.db_backed.has_cap: there is no disk under this store")
	wrong("{db_backed: {"+server+", has_cap: true, max_size: 1MB, store: {disk: {mount_point: /none/a}}}}", "store.db_backed.max_size: disk: bad settings")
	wrong("{db_backed: {"+server+", access_tracking: 3, store: {mem: }}}", "store.db_backed.access_tracking")
	wrong("{db_backed: {"+server+", tls: sure, store: {mem: }}}", `tls is "sure"`)

	_, r := check("store: {db_backed: {path: /p, user: u, port: 1, max_size: 5GB, store: {mem: }}}")
	if got := warnings(r); strings.Count(got, "has no effect") != 3 {
		t.Errorf("warnings: %s", got)
	}
	_, r = check("store: {db_back: {}}")
	if got := problems(r); got != "f.yaml:1:9: store.db_back: unknown kind of store; did you mean db_backed?" {
		t.Error(got)
	}
}

// TestOpenDBBacked starts with a database that is not there, and serves.
func TestOpenDBBacked(t *testing.T) {
	for _, doc := range []string{
		"{db_backed: {host: 127.0.0.1, port: 1, user: u, password: p, database: d, has_cap: true, max_size: 2GB, store: {disk: {mount_point: %[1]s/m}}}}",
		"{db_backed: {path: %[1]s/c.db, store: {disk: {mount_point: %[1]s/m}}}}",
	} {
		doc = fmt.Sprintf("store: "+doc, t.TempDir())
		checktest.AfterConfigured(t, doc)
		tree, r := check(doc)
		if tree == nil {
			t.Fatal(problems(r))
		}
		if err := tree.Open(t.Context(), compose.Env{Logger: slog.New(slog.DiscardHandler)}); err != nil {
			t.Fatal(err)
		}
		v := storetest.Blob(t, 1, 1000)
		if err := tree.Store().Put(t.Context(), v, blob.KindContent); err != nil {
			t.Error(err)
		}
		if has, err := tree.Store().Has(t.Context(), v.Hash()); !has || err != nil {
			t.Errorf("Has: %v, %v", has, err)
		}
		if err := tree.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestOpen opens a tree of every kind that needs no network and passes a blob through it.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	checktest.After(t, nil, filepath.Join(dir, "a"))
	tree, r := check(`
store:
  singleflight:
    store:
      gcache:
        max_size: 10
        store:
          caching:
            cache: {disk: {mount_point: ` + dir + `/a, max_size: 256MB, segment_size: 16MB}}
            origin: {mem: {}}
`)
	if tree == nil {
		t.Fatal(problems(r))
	}
	if err := tree.Open(t.Context(), compose.Env{Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	data := []byte("some bytes")
	v, err := blob.Verify(blob.Sum(data), data)
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.Store().Put(t.Context(), v, blob.KindContent); err != nil {
		t.Fatal(err)
	}
	h, err := tree.Store().Get(t.Context(), v.Hash())
	if err != nil {
		t.Fatal(err)
	}
	if h.Size() != v.Size() {
		t.Errorf("%d bytes came back, want %d", h.Size(), v.Size())
	}
	h.Release()
	if err := tree.Close(); err != nil {
		t.Fatal(err)
	}
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{
		"store: {caching: {cache: {disk: {mount_point: /none/a, max_size: 10TB}}, origin: {http: {endpoint: 'https://o/'}}}}",
		"store: {ittt: {this: &a {mem: }, that: *a}}",
		"store: {multiwriter: {destinations: [{gcache: {max_size: 1, store: {noop: }}}]}}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		if strings.Contains(strings.ToLower(doc), "_file") {
			return // secrets are read from the machine
		}
		tree, r := check(doc)
		if (tree == nil) == r.OK() {
			t.Fatalf("a tree: %v, and the report: %v", tree != nil, r.Err())
		}
		if tree != nil {
			if err := tree.Print(new(strings.Builder)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

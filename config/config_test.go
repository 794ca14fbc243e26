package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/config"
	"github.com/OdyseeTeam/prism/internal/yamlnode"
)

func env(name string) (string, bool) {
	v, ok := map[string]string{"PORT": "7000", "TOKEN": "from env", "EMPTY": ""}[name]
	return v, ok
}

func parse(doc string) (*config.Config, *yamlnode.Report) {
	r := &yamlnode.Report{}
	return config.Parse("f.yaml", []byte(doc), env, r), r
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

// defaults is what a file says that names a store only.
func defaults() config.Config {
	return config.Config{
		File: "f.yaml", Log: config.Log{Level: "info", Format: "text"}, DrainTimeout: 20 * time.Second,
		Lists: config.Lists{
			Blocklist: config.Blocklist{Enabled: true, Serve: true},
			Protected: config.Protected{Enabled: true, OnFailure: "open"},
		},
		Servers: config.Servers{Receiver: config.Receiver{Connections: config.Connections{Most: 4000, PerAddress: 500}}},
	}
}

func defaultHTTP() *config.HTTP {
	return &config.HTTP{Listener: config.Listener{Port: 5569}, MaxConcurrentRequests: 200, MaxConnections: 16_000, MinRate: 8 << 10}
}

// The bounds of connections where a file names none.
var (
	manyOfHTTP3 = config.Connections{Most: 16_000, PerAddress: 256}
	manyPeers   = config.Connections{Most: 16_000}
)

// TestValues compares whole configurations; each document is given a store.
func TestValues(t *testing.T) {
	f := func(doc string, change func(*config.Config)) {
		t.Helper()
		want := defaults()
		change(&want)
		got, r := parse(doc + "\nstore: {mem: }\n")
		if !r.OK() {
			t.Errorf("%q: %s", doc, r.Err())
			return
		}
		if got.Store == nil || got.Store.Path() != "store" {
			t.Errorf("%q: the store is %v", doc, got.Store)
		}
		if (got.Servers.Receiver.At != nil) != strings.Contains(doc, "receiver") {
			t.Errorf("%q: the place of receiver is %v", doc, got.Servers.Receiver.At)
		}
		got.Store, got.Lists.At, got.Servers.Receiver.At = nil, nil, nil
		for _, l := range listeners(&got.Servers) {
			if l.At == nil {
				t.Errorf("%q: a server without a place", doc)
			}
			l.At = nil
		}
		if !reflect.DeepEqual(*got, want) {
			t.Errorf("%q reads as\n%+v, want\n%+v", doc, *got, want)
		}
	}
	http := func(change func(*config.HTTP)) func(*config.Config) {
		return func(c *config.Config) { c.Servers.HTTP = defaultHTTP(); change(c.Servers.HTTP) }
	}
	f("", func(*config.Config) {})
	f("servers:", func(*config.Config) {})
	f("servers: {http: }", http(func(*config.HTTP) {}))
	f("SERVERS: {Http: {PORT: 80}}", http(func(h *config.HTTP) { h.Port = 80 }))
	f("servers: {http: {port: '5569', max_concurrent_requests: \"100\"}}", http(func(h *config.HTTP) { h.MaxConcurrentRequests = 100 }))
	f("servers: {http: {port: 65535, address: 127.0.0.1}}", http(func(h *config.HTTP) { h.Port, h.Address = 65535, "127.0.0.1" }))
	f("servers: {http: {address: '[::1]'}}", http(func(h *config.HTTP) { h.Address = "::1" }))
	f("servers: {http: {address: localhost}}", http(func(h *config.HTTP) { h.Address = "localhost" }))
	f("servers: {http: {address: ''}}", http(func(*config.HTTP) {}))
	f("servers: {http: {port: '${PORT}', edge_token: '${TOKEN}'}}", http(func(h *config.HTTP) { h.Port, h.EdgeToken = 7000, "from env" }))
	f("servers: {http: {edge_token: 12345}}", http(func(h *config.HTTP) { h.EdgeToken = "12345" }))
	f("servers: {http: {max_connections: 10, min_rate: 1KB}}", http(func(h *config.HTTP) { h.MaxConnections, h.MinRate = 10, 1024 }))
	f("servers: {http3: {port: 1}, peer: {port: 2, address: '::'}}", func(c *config.Config) {
		c.Servers.HTTP3 = &config.HTTP3{Listener: config.Listener{Port: 1}, MaxConcurrentRequests: 200, Connections: manyOfHTTP3}
		c.Servers.Peer = &config.Peer{Listener: config.Listener{Port: 2, Address: "::"}, Connections: manyPeers}
	})
	const few = "max_connections: 7, max_connections_per_address: '3'"
	want := config.Connections{Most: 7, PerAddress: 3}
	f("servers: {http3: {"+few+"}, peer: {"+few+"}, receiver: {"+few+"}}", func(c *config.Config) {
		c.Servers.HTTP3 = &config.HTTP3{Listener: config.Listener{Port: 5568}, MaxConcurrentRequests: 200, Connections: want}
		c.Servers.Peer = &config.Peer{Listener: config.Listener{Port: 5567}, Connections: want}
		c.Servers.Receiver.Connections = want
	})
	f("servers: {receiver: }", func(*config.Config) {})
	f("servers: {receiver: {max_connections: 9}}", func(c *config.Config) { c.Servers.Receiver.Most = 9 })
	all := "{port: 9, address: a, max_concurrent_requests: 5, edge_token: x}"
	f("servers: {http3: "+all+"}", func(c *config.Config) {
		c.Servers.HTTP3 = &config.HTTP3{Listener: config.Listener{Port: 9, Address: "a"}, MaxConcurrentRequests: 5, Connections: manyOfHTTP3}
	})
	f("servers: {peer: "+all+"}", func(c *config.Config) {
		c.Servers.Peer = &config.Peer{Listener: config.Listener{Port: 9, Address: "a"}, Connections: manyPeers}
	})
	f("log: {level: DEBUG, format: json}\ndrain_timeout: 1m", func(c *config.Config) {
		c.Log, c.DrainTimeout = config.Log{Level: "debug", Format: "json"}, time.Minute
	})
	f("drain_timeout: 5000000000", func(c *config.Config) { c.DrainTimeout = 5 * time.Second })
	f("admin_socket: /run/prism/admin.sock", func(c *config.Config) { c.AdminSocket = "/run/prism/admin.sock" })
	f("admin_socket: ", func(*config.Config) {})
	f("lists: {blocklist: {url: 'https://l.example/x', hubs: [a:1, b:2], interval: 12h, delete: true, serve: false}}", func(c *config.Config) {
		c.Lists.Blocklist = config.Blocklist{Enabled: true, URL: "https://l.example/x", Hubs: []string{"a:1", "b:2"}, Interval: 12 * time.Hour, Delete: true}
	})
	f("lists: {blocklist: , protected: {on_failure: closed, interval: 2m, max_age: 10m}, state_dir: /var/lib/prism}", func(c *config.Config) {
		c.Lists.StateDir = "/var/lib/prism"
		c.Lists.Protected.OnFailure, c.Lists.Protected.Interval, c.Lists.Protected.MaxAge = "closed", 2*time.Minute, 10*time.Minute
	})
	f("lists: {blocklist: {enabled: false, hubs: 'a:1,b:2'}, protected: {enabled: false}}", func(c *config.Config) {
		c.Lists.Blocklist.Enabled, c.Lists.Protected.Enabled = false, false
		c.Lists.Blocklist.Hubs = []string{"a:1", "b:2"}
	})
}

func listeners(s *config.Servers) []*config.Listener {
	var all []*config.Listener
	if s.HTTP != nil {
		all = append(all, &s.HTTP.Listener)
	}
	if s.HTTP3 != nil {
		all = append(all, &s.HTTP3.Listener)
	}
	if s.Peer != nil {
		all = append(all, &s.Peer.Listener)
	}
	return all
}

// TestProblems covers bad inputs 62, 64 and 66; the values of stores are tested where stores are composed.
func TestProblems(t *testing.T) {
	f := func(doc, want string) {
		t.Helper()
		if _, r := parse(doc); problems(r) != want {
			t.Errorf("%q:\n got %s\nwant %s", doc, problems(r), want)
		}
	}
	const nothing = "the file holds no configuration; examples/edge/blobcache.yaml is one to start from"
	f("", "f.yaml:1:1: "+nothing)
	f("# only a comment\n", "f.yaml:1:1: "+nothing)
	f("---\n", "f.yaml:2:1: "+nothing)
	f("servers: {}", "f.yaml:1:1: the key store is missing; name a kind of store under it, such as caching or disk")
	f("store:", "f.yaml:1:1: the key store is missing; name a kind of store under it, such as caching or disk")
	const s = "store: {mem: }\n"
	f(s+"server: {}", "f.yaml:2:1: server: unknown key; did you mean servers?")
	f(s+"stores: {}", "f.yaml:2:1: stores: unknown key; did you mean store?")
	f(s+"cache: {}", "f.yaml:2:1: cache: unknown key; known here: store, servers, lists, admin_socket, database, log, drain_timeout")
	f(s+s, "f.yaml:2:1: store: this key is here twice; the other one is in line 1")
	f(s+"servers: {htpp: {port: 1}}", "f.yaml:2:11: servers.htpp: unknown key; did you mean http?")
	f(s+"servers: {http: {prot: 1}}", "f.yaml:2:18: servers.http.prot: unknown key; did you mean port?")
	f(s+"servers: 5569", `f.yaml:2:10: servers: want keys with values under it, not the text "5569"`)
	f(s+"servers: {http: 5569}", `f.yaml:2:17: servers.http: want keys with values under it, not the text "5569"`)
	f(s+"servers: {http: {port: 0}}", "f.yaml:2:24: servers.http.port: 0 is out of range; want 1 to 65535")
	f(s+"servers: {http: {port: 70000}}", "f.yaml:2:24: servers.http.port: 70000 is out of range; want 1 to 65535")
	f(s+"servers: {peer: {port: -1}}", "f.yaml:2:24: servers.peer.port: -1 is out of range; want 1 to 65535")
	for _, server := range []string{"http3", "peer", "receiver"} {
		at := len("servers: {" + server + ": {max_connections: ")
		f(s+"servers: {"+server+": {max_connections: 0}}",
			fmt.Sprintf("f.yaml:2:%d: servers.%s.max_connections: 0 is out of range; want 1 to 1000000", at+1, server))
		at = len("servers: {" + server + ": {max_connections_per_address: ")
		f(s+"servers: {"+server+": {max_connections_per_address: -1}}",
			fmt.Sprintf("f.yaml:2:%d: servers.%s.max_connections_per_address: -1 is out of range; want 1 to 1000000", at+1, server))
	}
	f(s+"servers: {receiver: {port: 1}}", "f.yaml:2:22: servers.receiver.port: unknown key; known here: max_connections, max_connections_per_address")
	f(s+"servers: {http: {port: http}}", `f.yaml:2:24: servers.http.port: "http" is not a whole number`)
	f(s+"servers: {http: {max_concurrent_requests: 0}}", "f.yaml:2:43: servers.http.max_concurrent_requests: 0 is out of range; want 1 to 1000000")
	f(s+"servers: {http: {min_rate: 0}}", `f.yaml:2:28: servers.http.min_rate: "0" is too small; want at least 1B`)
	f(s+"servers: {http: {address: '127.0.0.1:80'}}", "f.yaml:2:27: servers.http.address: want an address alone, such as 127.0.0.1 or ::1; the port is a key of its own")
	f(s+"servers: {http: {edge_token_file: /none}}", "f.yaml:2:35: servers.http.edge_token_file: stat /none: no such file or directory")
	f(s+"servers: {http: {port: 80}, peer: {port: 80}}", "f.yaml:2:29: servers.peer: listens on :80, as servers.http does; give it another port")
	f(s+"servers: {http3: {tls_cert: a}}", "f.yaml:2:18: servers.http3: tls_cert and tls_key belong together; give both, or none for a certificate of its own")
	f(s+"drain_timeout: -1s", "f.yaml:2:16: drain_timeout: -1s is negative; write a duration such as 30s")
	f(s+"drain_timeout: 20", "")
	f(s+"admin_socket: admin.sock", `f.yaml:2:15: admin_socket: "admin.sock" is no absolute path; write one such as /run/prism/admin.sock`)
	f(s+"admin_socket: '@prism'", `f.yaml:2:15: admin_socket: "@prism" is no absolute path; write one such as /run/prism/admin.sock`)
	f(s+"admin_socket: /"+strings.Repeat("x", 107), "f.yaml:2:15: admin_socket: the path has 108 bytes, and that of a socket has 107 at most; choose a shorter one")
	f(s+"admin_socket: /"+strings.Repeat("x", 106), "")
	f(s+`admin_socket: "/run/\0"`, `f.yaml:2:15: admin_socket: "/run/\x00" has a zero byte`)
	f(s+"admin_socket: {path: /run/a}", "f.yaml:2:15: admin_socket: want one value, not keys of its own")
	f(s+"log: {level: verbose}", `f.yaml:2:14: log.level: "verbose" is not known; want debug or info or warn or error`)
	f(s+"log: {level: warning}", `f.yaml:2:14: log.level: "warning" is not known; want debug or info or warn or error`)
	f(s+"lists: {blocklist: {url: ftp://x, interval: 0s}}", `f.yaml:2:26: lists.blocklist.url: this is not an address such as https://example.com/`+"\n"+
		"f.yaml:2:45: lists.blocklist.interval: 0s is too short; want at least 1s")
	f(s+"lists: {blocklist: {hubs: [a:1, b]}}", `f.yaml:2:27: lists.blocklist.hubs: "b" is not the address of a hub; want HOST:PORT`)
	f(s+"lists: {protected: {interval: 2h}}", "f.yaml:2:20: lists.protected: max_age is 1h0m0s, and the list is fetched every 2h0m0s; want a max_age of several intervals")
	f("servers:\n\thttp:", "f.yaml:2:1: not YAML: a tab indents this line; indent with blanks")
}

func TestWarnings(t *testing.T) {
	f := func(doc, want string) {
		t.Helper()
		if _, r := parse(doc); warnings(r) != want || !r.OK() {
			t.Errorf("%q:\n got %s\nwant %s\nproblems %s", doc, warnings(r), want, problems(r))
		}
	}
	const s = "store: {mem: }\n"
	f(s, "")
	f(s+"database: {user: x}", "f.yaml:2:1: database: has no effect: it belongs in upload.yaml")
	f(s+"servers: {http3: {edge_token: x}}", "f.yaml:2:19: servers.http3.edge_token: has no effect: protected blobs are not served over HTTP/3")
	f(s+"servers: {peer: {max_concurrent_requests: 5}}", "f.yaml:2:18: servers.peer.max_concurrent_requests: has no effect: the peer protocol answers one request after the other")
	f(s+"servers: {http: {edge_token: '${EMPTY}'}}", "f.yaml:2:30: servers.http.edge_token: ${EMPTY} is empty")
	f(s+"drain_timeout: 20", "f.yaml:2:16: drain_timeout: 20 is 20ns; a bare number is nanoseconds: write 20s for seconds")
}

func TestLoadFile(t *testing.T) {
	dir := t.TempDir()
	for name, want := range map[string]string{"reflector.yaml": "", "upload.yml": "", "any": "", "nowhere": "no such file", ".": "not a regular file"} {
		path := filepath.Join(dir, name)
		if want == "" {
			text := "store: {mem: }\n"
			if name == "upload.yml" {
				text += "database: {path: x.db}\n"
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r := &yamlnode.Report{}
		c := config.LoadFile(path, r)
		if got := problems(r); want == "" && (got != "" || c == nil || c.File != path || (c.Database != nil) != (name == "upload.yml")) ||
			!strings.Contains(got, want) {
			t.Errorf("%s: %+v, %s", name, c, got)
		}
	}
}

func TestLoad(t *testing.T) {
	const doc = "store: {mem: }\n"
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	load := func() (string, string) {
		r := &yamlnode.Report{}
		c := config.Load(dir, "blobcache", r)
		if c == nil {
			return "", problems(r)
		}
		return c.File, problems(r)
	}
	base := filepath.Join(dir, "blobcache")
	want := base + ".yaml: there is no such file, nor blobcache.yml, nor blobcache; write one, or name its folder with --conf-dir"
	if _, got := load(); got != want {
		t.Errorf("no file:\n got %s\nwant %s", got, want)
	}
	if err := os.Mkdir(base, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, got := load(); got != want {
		t.Errorf("a folder of that name:\n got %s\nwant %s", got, want)
	}
	if err := os.Remove(base); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"blobcache", "blobcache.yml", "blobcache.yaml"} {
		path := write(name, doc)
		if got, problem := load(); got != path || problem != "" {
			t.Errorf("read %s, %s, want %s", got, problem, path)
		}
	}
	write("blobcache.yaml", strings.Repeat("# 10 MB\n", 1_300_000))
	if _, got := load(); got != base+".yaml: the file is larger than 1024 KiB; that is no configuration" {
		t.Errorf("10 MB: %s", got)
	}
	if err := os.Remove(base + ".yaml"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(base+".yaml", 0o755); err != nil {
		t.Fatal(err)
	}
	if _, got := load(); got != base+".yaml: read "+base+".yaml: not a regular file" {
		t.Errorf("a folder: %s", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"store: {mem: }\n",
		"servers:\n  http: {port: ${PORT}, address: '::1', edge_token: 0x10}\n  http3:\n  peer: {port: 1e3}\nstore:\n  disk: {}\n",
		"log: {level: debug}\ndrain_timeout: 5\nlists: {blocklist: {hubs: 'a,b'}, protected: }\n<<: {store: {mem: }}\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		if strings.Contains(strings.ToLower(doc), "_file") {
			return // secrets are read from the machine
		}
		c, r := parse(doc)
		if !r.OK() {
			return
		}
		if c == nil || c.Store == nil || c.DrainTimeout < 0 {
			t.Fatalf("accepted, and yet %+v", c)
		}
		for _, l := range listeners(&c.Servers) {
			if l.Port < 1 || l.Port > 65535 {
				t.Fatalf("port %d", l.Port)
			}
		}
	})
}

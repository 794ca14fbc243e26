package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/engine/check/checktest"
	"github.com/OdyseeTeam/prism/internal/testbed"
)

// binary is the program under test, built once.
func binary(t *testing.T) string {
	t.Helper()
	path := os.Getenv("PRISM_TEST_BINARY")
	if path == "" {
		t.Fatal("TestMain did not build the program")
	}
	return path
}

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "prism-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "prism")
	build := exec.Command("go", "build", "-ldflags", "-X main.version=v1.2.3-test", "-o", path, ".")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	if err := os.Setenv("PRISM_TEST_BINARY", path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// result is how a run of the program ended.
type result struct {
	status         int
	stdout, stderr string
}

// prism runs the program to its end.
func prism(t *testing.T, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(t), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{status: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
}

// configure writes a configuration file and gives its folder.
func configure(t *testing.T, doc string) string {
	t.Helper()
	checktest.AfterConfigured(t, doc)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "blobcache.yaml"), []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// freePorts finds ports that nothing listens on.
func freePorts(t *testing.T) (blobs, metrics int) {
	t.Helper()
	ports := testbed.Ports(t, 2)
	return ports[0], ports[1]
}

func TestVersion(t *testing.T) {
	want := "prism v1.2.3-test (" + runtime.Version() + ", linux/" + runtime.GOARCH + ")\n"
	for _, args := range [][]string{{"version"}, {"--version"}, {"--conf-dir=/none", "version"}, {"version", "--conf-dir", "/none"}} {
		if got := prism(t, args...); got != (result{stdout: want}) {
			t.Errorf("%v: %+v, want %s", args, got, want)
		}
	}
}

// TestWrongCommandLine: exit status 2 and one line that says what to do.
func TestWrongCommandLine(t *testing.T) {
	const see = " (prism --help lists commands and flags)\n"
	f := func(args, want string) {
		t.Helper()
		if got := prism(t, strings.Fields(args)...); got.status != 2 || got.stdout != "" || got.stderr != "prism: "+want {
			t.Errorf("prism %s: %+v, want %s", args, got, want)
		}
	}
	f("", `expected one of "blobcache", "check-config", "fsck", "version", "reflector", ...`+see)
	f("blobcahe", `unexpected argument blobcahe, did you mean "blobcache"?`+see)
	f("blobcache --port 5", `unknown flag --port`+see)
	f("blobcache --metrics-port 0", "--metrics-port=0 is out of range; want 1 to 65535\n")
	f("blobcache --metrics-port 70000", "--metrics-port=70000 is out of range; want 1 to 65535\n")
	f("blobcache --metrics-port x", `--metrics-port: expected a valid 64 bit int but got "x"`+see)
	f("check-config nothing", `<command> must be one of "blobcache","reflector","upload" but got "nothing"`+see)
	f("check-config upload --conf-dir /nonexistent",
		"wrong configuration\n/nonexistent/upload.yaml: there is no such file, nor upload.yml, nor upload; write one, or name its folder with --conf-dir\n")
	f("reflector --receiver-port 0", "--receiver-port=0 is out of range; want 1 to 65535\n")
	f("reflector --metrics-port 70000", "--metrics-port=70000 is out of range; want 1 to 65535\n")
	f("reflector --conf-dir /nonexistent --receiver-port 5566 --metrics-port 2112 --disable-blocklist",
		"wrong configuration\n/nonexistent/reflector.yaml: there is no such file, nor reflector.yml, nor reflector; write one, or name its folder with --conf-dir\n")
	f("upload /some/path --workers 4 --skipExistsCheck --deleteBlobsAfterUpload --conf-dir /nonexistent",
		"wrong configuration\n/nonexistent/upload.yaml: there is no such file, nor upload.yml, nor upload; write one, or name its folder with --conf-dir\n")
	f("upload /some/path --workers 0", "--workers=0 is out of range; want 1 to 1024\n")
	f("upload", `expected "<path>"`+see)
	f("stream fetch abc --from http://localhost:1", "SDHASH: invalid blob hash: 3 characters, want 96\n")
	hash := strings.Repeat("a", 96)
	f("stream fetch "+hash, "missing flags: --from=URL"+see)
	f("stream fetch "+hash+" --from localhost:1", "--from: bad address of a server: want http://HOST:PORT, http3://HOST:PORT or peer://HOST:PORT\n")
	f("stream fetch "+hash+" --from http://localhost:1 --at-once 33", "--at-once=33 is out of range; want 1 to 32\n")
}

// TestReflectorNeedsToWrite: a store that only reads is refused where uploads would go, and only there.
func TestReflectorNeedsToWrite(t *testing.T) {
	const origin = "{http: {endpoint: 'http://127.0.0.1:1/'}}"
	f := func(store, path string) {
		t.Helper()
		dir := t.TempDir()
		file := filepath.Join(dir, "reflector.yaml")
		if err := os.WriteFile(file, []byte("store: "+store+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		got := prism(t, "check-config", "reflector", "--conf-dir", dir)
		if path == "" {
			if got.status != 0 {
				t.Errorf("%s: %+v", store, got)
			}
			return
		}
		if want := path + ": takes no uploads: a store of kind http only reads"; got.status != 2 || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: %+v, want %s", store, got, want)
		}
	}
	f(origin, "store.http")
	f("{caching: {cache: {mem: }, origin: "+origin+"}}", "store.caching.origin.http")
	f("{singleflight: {store: "+origin+"}}", "store.singleflight.store.http")
	f("{multiwriter: {destinations: [{mem: }, "+origin+"]}}", "store.multiwriter.destinations[1].http")
	f("{proxied-s3: {writer: "+origin+", reader: {mem: }}}", "store.proxied-s3.writer.http")
	f("{proxied-s3: {writer: {mem: }, reader: "+origin+"}}", "")
	f("{ittt: {this: {mem: }, that: "+origin+"}}", "")
}

func TestHelp(t *testing.T) {
	got := prism(t, "--help")
	for _, word := range []string{"blobcache", "check-config", "version", "--conf-dir=DIR", "--verbose=LIST"} {
		if got.status != 0 || !strings.Contains(got.stdout, word) {
			t.Errorf("prism --help lacks %s: %+v", word, got)
		}
	}
}

// TestWrongConfiguration: whatever is wrong is said with its place, the exit status is 2, and nothing was opened.
func TestWrongConfiguration(t *testing.T) {
	mount := filepath.Join(t.TempDir(), "mount")
	doc := fmt.Sprintf(`
servers:
  http: {port: 70000, max_conections: 5}
store:
  caching:
    cache:
      disk: {mount_point: %s, max_size: 1e9}
    origin:
      htpp: {endpoint: "https://o.example/"}
`, mount)
	dir := configure(t, doc)
	file := filepath.Join(dir, "blobcache.yaml")
	want := "prism: wrong configuration\n" +
		file + ":3:16: servers.http.port: 70000 is out of range; want 1 to 65535\n" +
		file + ":3:23: servers.http.max_conections: unknown key; did you mean max_connections?\n" +
		file + ":7:" + strconv.Itoa(len("      disk: {mount_point: , max_size: ")+len(mount)+1) +
		`: store.caching.cache.disk.max_size: "1e9" is not a size; write a whole number with a unit, such as 500GB or 20MiB` + "\n" +
		file + ":9:7: store.caching.origin.htpp: unknown kind of store; did you mean http?\n"
	for _, args := range [][]string{{"blobcache", "--conf-dir", dir}, {"--conf-dir=" + dir, "check-config", "blobcache"}} {
		if got := prism(t, args...); got != (result{status: 2, stderr: want}) {
			t.Errorf("%v:\n got %+v\nwant %s", args, got, want)
		}
	}
	if _, err := os.Stat(mount); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the mount was touched: %v", err)
	}

	dir = configure(t, "store: {mem: }\n")
	want = "prism: wrong configuration\n" + filepath.Join(dir, "blobcache.yaml") + ": there is nothing to serve; add servers: {http: {port: 5569}}\n"
	if got := prism(t, "blobcache", "--conf-dir", dir); got != (result{status: 2, stderr: want}) {
		t.Errorf("no server:\n got %+v\nwant %s", got, want)
	}
	want = "prism: wrong configuration\n/none/blobcache.yaml: there is no such file, nor blobcache.yml, nor blobcache; write one, or name its folder with --conf-dir\n"
	if got := prism(t, "blobcache", "--conf-dir", "/none"); got != (result{status: 2, stderr: want}) {
		t.Errorf("no file:\n got %+v\nwant %s", got, want)
	}
}

// TestBadSettings has settings that cannot be, which check-config finds too, and a folder that only the disk can judge.
func TestBadSettings(t *testing.T) {
	mount := t.TempDir()
	dir := configure(t, fmt.Sprintf("servers: {http: }\nstore: {disk: {mount_point: %s, max_size: 20MB, segment_size: 16MB}}\n", mount))
	for _, args := range [][]string{{"blobcache"}, {"check-config", "blobcache"}} {
		got := prism(t, append(args, "--conf-dir", dir)...)
		if got.status != 2 || !strings.Contains(got.stderr, "blobcache.yaml:2:15: store.disk: ") || !strings.Contains(got.stderr, "max_size") {
			t.Errorf("%v: a cap that is too small: %+v", args, got)
		}
	}
	if err := os.WriteFile(filepath.Join(mount, "letter.txt"), []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir = configure(t, fmt.Sprintf("servers: {http: }\nstore: {disk: {mount_point: %s}}\n", mount))
	got := prism(t, "blobcache", "--conf-dir", dir)
	if got.status != 1 || !strings.Contains(got.stderr, "blobcache.yaml:2:9: store.disk: ") || !strings.Contains(got.stderr, "choose an empty folder") {
		t.Errorf("somebody else's folder: %+v", got)
	}
}

// TestExamples reads the configurations that people copy.
func TestExamples(t *testing.T) {
	got := prism(t, "check-config", "blobcache", "--conf-dir", "../../examples/edge")
	want := result{stdout: `../../examples/edge/blobcache.yaml is right
http: :5569, 200 requests and 16000 connections at once, readers of at least 8KiB/s
blocked blobs: https://api.lbry.com/file/list_blocked every 12h0m0s, kept in ../../examples/edge/.blobcache-lists; refused on upload, served all the same
protected blobs: https://direct.api.odysee.com/file/list_protected every 2m0s, kept in ../../examples/edge/.blobcache-lists; the last good list decides
log: info as text; drain: 20s
store: caching edge
  cache: disk blobcache, /mnt/blobcache, at most 500GiB, sync interval
  origin: http https://blobs.example.com/
`}
	if got != want {
		t.Errorf("edge:\n got %+v\nwant %+v", got, want)
	}
	got = prism(t, "check-config", "blobcache", "--conf-dir", "../../examples/legacy")
	want = result{stdout: `../../examples/legacy/blobcache.yaml is right
http: :5569, 200 requests and 16000 connections at once, readers of at least 8KiB/s
http3: :5568, 200 requests and 16000 connections at once, 256 of an address, a certificate of its own
peer: :5567, 16000 connections at once
blocked blobs: https://api.lbry.com/file/list_blocked every 12h0m0s, kept in ../../examples/legacy/.blobcache-lists; refused on upload, served all the same
protected blobs: https://direct.api.odysee.com/file/list_protected every 2m0s, kept in ../../examples/legacy/.blobcache-lists; the last good list decides
log: info as text; drain: 20s
store: caching blobcache
  cache: db_backed catalogue reflector at localhost:3306, sync write_behind, the disk under it at most 500GiB
    store: disk blobcache, /mnt/blobcache/cache, at most 500GiB (of the store above)
  origin: ittt
    this: http3 nearby, reflector.example.com:5568
    that: ittt
      this: upstream http://cache.example.com:5569
      that: http https://s3.example.com/blobs-bucket/
`}
	if got != want {
		t.Errorf("legacy:\n got %+v\nwant %+v", got, want)
	}
}

// TestEveryExample reads every example, but for the one of an older server, without a problem or a warning.
func TestEveryExample(t *testing.T) {
	files, err := filepath.Glob("../../examples/*/*.yaml")
	if err != nil || len(files) < 4 {
		t.Fatalf("examples %v, %v", files, err)
	}
	for _, file := range files {
		if filepath.Base(filepath.Dir(file)) == "legacy" {
			continue
		}
		doc, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		// Under the name of a blobcache's file: its keys are those of every server.
		got := prism(t, "check-config", "blobcache", "--conf-dir", configure(t, string(doc)))
		if filepath.Base(file) == "upload.yaml" {
			got = prism(t, "check-config", "upload", "--conf-dir", uploadConf(t, string(doc)))
		}
		if got.status != 0 || strings.Contains(got.stdout, "warning") {
			t.Errorf("%s: %+v", file, got)
		}
	}
}

// TestReadme reads the configuration that the README shows.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, doc, ok := strings.Cut(string(text), "```yaml\n")
	doc, _, ended := strings.Cut(doc, "```")
	if !ok || !ended {
		t.Fatal("the README shows no configuration")
	}
	if got := prism(t, "check-config", "blobcache", "--conf-dir", configure(t, doc)); got.status != 0 || strings.Contains(got.stdout, "warning") {
		t.Errorf("%+v", got)
	}
}

// TestOldFile is the blobcache example of the old servers' own documentation.
func TestOldFile(t *testing.T) {
	dir := configure(t, `servers:
  http:
    port: 5569
    max_concurrent_requests: 200
  http3:
    port: 5568
    max_concurrent_requests: 200
  peer:
    port: 5567
store:
  caching:
    cache:
      db_backed:
        user: reflector
        password: reflector
        database: reflector
        host: localhost
        port: 3306
        has_cap: true
        max_size: 500GB
        store:
          disk:
            name: blobcache
            mount_point: /mnt/blobcache/cache
            sharding_size: 2
    origin:
      http:
        endpoint: https://s3.yourendpoint.tv/blobs-bucket/
        sharding_size: 4
`)
	const want = `
  cache: db_backed catalogue reflector at localhost:3306, sync write_behind, the disk under it at most 500GiB
    store: disk blobcache, /mnt/blobcache/cache, at most 500GiB (of the store above)
  origin: http https://s3.yourendpoint.tv/blobs-bucket/`
	if got := prism(t, "check-config", "blobcache", "--conf-dir", dir); got.status != 0 || !strings.Contains(got.stdout, want) {
		t.Errorf("got %+v\nwant %s", got, want)
	}
}

// TestPortInUse names the key to change, and releases the stores.
func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	free, metrics := freePorts(t)
	mount := t.TempDir()
	conf := func(port int) string {
		return configure(t, fmt.Sprintf("servers: {http: {port: %d}}\nstore: {disk: {mount_point: %s, max_size: 256MB}}\n"+noLists, port, mount))
	}
	for range 2 { // the second one finds the mount unlocked
		dir := conf(port)
		got := prism(t, "blobcache", "--conf-dir", dir, "--metrics-port", strconv.Itoa(metrics))
		want := fmt.Sprintf("prism: %s:1:11: servers.http.port: listen tcp :%d: bind: address already in use; choose another port, or stop the program that has it\n",
			filepath.Join(dir, "blobcache.yaml"), port)
		if got.status != 1 || !strings.HasSuffix(got.stderr, want) {
			t.Errorf("got %+v\nwant %s", got, want)
		}
	}
	got := prism(t, "blobcache", "--conf-dir", conf(free), "--metrics-port", strconv.Itoa(port))
	want := fmt.Sprintf("prism: --metrics-port: listen tcp :%d: bind: address already in use; choose another port, or stop the program that has it\n", port)
	if got.status != 1 || !strings.HasSuffix(got.stderr, want) {
		t.Errorf("got %+v\nwant %s", got, want)
	}
}

// fetch is a page's status and body.
func fetch(t *testing.T, url string) (int, []byte) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, body
}

package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/frontends/upload/reflectclient"
	"github.com/OdyseeTeam/prism/lists/liststest"
	"github.com/OdyseeTeam/prism/stores"
)

// listBed is the network of a node with lists: a server for each list, and a hub.
type listBed struct {
	blocked, protected *liststest.Server
	hub                *liststest.Hub
	ca, state          string
}

func newListBed(t *testing.T) *listBed {
	b := &listBed{blocked: liststest.NewServer(t), protected: liststest.NewServer(t), hub: liststest.NewHub(t), state: t.TempDir()}
	b.ca = liststest.CAFile(t, b.blocked, b.protected)
	return b
}

// start starts a node; more are keys of the lists, each with a comma before it. The states that a node before it left are
// there.
func (b *listBed) start(t *testing.T, command, store, moreBlocked, moreProtected string) *node {
	t.Helper()
	return startListed(t, command, fmt.Sprintf("lists: {state_dir: %s, blocklist: {url: '%s/blocked', hubs: ['%s'], interval: 1s%s}, protected: {url: '%s/protected', interval: 1s%s}}",
		b.state, b.blocked.URL, b.hub.Addr(), moreBlocked, b.protected.URL, moreProtected), store, "SSL_CERT_FILE="+b.ca)
}

// down has every list fail.
func (b *listBed) down() {
	b.blocked.Answer(http.StatusInternalServerError, "")
	b.protected.Answer(http.StatusOK, "<html>sorry</html>")
}

// sdBlob is an SD blob that can be read as one.
func sdBlob(t *testing.T, name string) blob.Verified {
	t.Helper()
	text := fmt.Appendf(nil, `{"stream_name": "%x", "blobs": [{"blob_num": 0, "iv": "00", "length": 0}], "stream_hash": "%s"}`, name, strings.Repeat("ab", 48))
	v, err := blob.Verify(blob.Sum(text), text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func uploadSD(t *testing.T, n *node, v blob.Verified) bool {
	t.Helper()
	c, err := reflectclient.Dial(t.Context(), fmt.Sprintf("127.0.0.1:%d", n.take), reflectclient.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := c.Upload(t.Context(), v, blob.KindSD)
	if err != nil {
		t.Fatal(err)
	}
	return got.Sent
}

// status is the status of a request without redirects, and whether the body is the blob's.
func (n *node) status(t *testing.T, method, path string, v blob.Verified) (int, bool) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, fmt.Sprintf("http://127.0.0.1:%d%s", n.http, path), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, bytes.Equal(body, v.Bytes())
}

// await waits until a question is answered with a status.
func (n *node) await(t *testing.T, path string, want int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		got, _ := n.status(t, http.MethodGet, path, blob.Verified{})
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(n.Log())
			t.Fatalf("%s is %d after 30 s, want %d\n%s", path, got, want, log)
		}
	}
}

// answers are what every way to ask says of a blob.
type answers struct {
	get        int // GET, on every path
	token      int // GET with the token
	head, has  int
	http3, tcp error // nil, or what the client makes of it
}

var (
	whole     = answers{get: 200, token: 200, head: 204, has: 200}
	protected = answers{get: 403, token: 200, head: 204, has: 200, http3: blob.ErrProtected, tcp: blob.ErrNotFound}
	hidden    = answers{get: 404, token: 404, head: 404, has: 404, http3: blob.ErrNotFound, tcp: blob.ErrNotFound}
)

// demand asks for a blob in every way.
func (n *node) demand(t *testing.T, what string, v blob.Verified, want answers) {
	t.Helper()
	h := v.Hash().String()
	f := func(method, path string, want int) {
		t.Helper()
		got, same := n.status(t, method, path, v)
		if got != want || method == http.MethodGet && want == 200 && !strings.HasPrefix(path, "/has") && !same {
			t.Errorf("%s: %s %s: %d, want %d; the blob's bytes: %v", what, method, path[:min(len(path), 12)], got, want, same)
		}
	}
	f(http.MethodGet, "/blob?hash="+h, want.get)
	f(http.MethodGet, "/"+h, want.get)
	f(http.MethodGet, "/get/"+h, want.get)
	f(http.MethodGet, "/blob?hash="+h+"&edge_token=wrong", want.get)
	f(http.MethodGet, "/blob?hash="+h+"&edge_token=sesame", want.token)
	f(http.MethodHead, "/blob?hash="+h, want.head)
	f(http.MethodHead, "/has/"+h, want.has)
	for with, client := range n.clients(t) {
		wanted := want.http3
		switch with {
		case "peer":
			wanted = want.tcp
		case "upstream":
			continue // asked above
		}
		if err := get(t.Context(), client, v); !errors.Is(err, wanted) || (err == nil) != (wanted == nil) {
			t.Errorf("%s: over %s: %v, want %v", what, with, err, wanted)
		}
		// By existence, but that peers are not told of what they cannot have.
		exists := want.has == 200 && !(with == "peer" && want.tcp != nil)
		if has, err := client.Has(t.Context(), v.Hash()); err != nil || has != exists {
			t.Errorf("%s: Has over %s: %v, %v, want %v", what, with, has, err, exists)
		}
	}
}

func get(ctx context.Context, s stores.Store, v blob.Verified) error {
	_, err := wantBlob(ctx, s, v)
	return err
}

// BAD-INPUTS 23, of a reflector over all its servers: protected and blocked blobs with the servers of the lists up, down,
// and down at the start.
func TestLists(t *testing.T) {
	b := newListBed(t)
	b.down()
	store := fmt.Sprintf("  disk: {name: d, mount_point: %s, max_size: 256MB, segment_size: 16MB, sync: always}\n", t.TempDir())
	n := b.start(t, "reflector", store, "", "")
	free, secret, bad := sdBlob(t, "free"), sdBlob(t, "secret"), sdBlob(t, "bad")
	for _, v := range []blob.Verified{free, secret, bad} {
		if !uploadSD(t, n, v) {
			t.Fatal("an upload is not taken while there is no list")
		}
		n.demand(t, "no list", v, whole)
	}
	b.protected.Protect(secret.Hash())
	refused := sdBlob(t, "bad and new")
	both := liststest.Transaction(true, liststest.UpdateClaim("x", liststest.Older(bad.Hash())), liststest.ClaimName("y", liststest.Unsigned(refused.Hash())))
	b.hub.Add(both)
	b.blocked.Block(both.Outpoint(0), both.Outpoint(1))
	n.await(t, "/"+secret.Hash().String(), http.StatusForbidden)
	awaitMetric(t, n, `prism_list_entries{list="blocked"}`, "2")
	check := func(what string) {
		t.Helper()
		n.demand(t, what+", free", free, whole)
		n.demand(t, what+", protected", secret, protected)
		n.demand(t, what+", blocked", bad, whole)
		if uploadSD(t, n, refused) {
			t.Errorf("%s: a blocked SD blob is taken", what)
		}
		if has, _ := n.status(t, http.MethodHead, "/blob?hash="+refused.Hash().String(), refused); has != 404 {
			t.Errorf("%s: a blocked SD blob that was refused is there: %d", what, has)
		}
	}
	check("lists up")
	b.down()
	b.hub.Close()
	awaitMetric(t, n, `prism_list_failing{list="protected"}`, "1")
	awaitMetric(t, n, `prism_list_failing{list="blocked"}`, "1")
	check("lists down")
	n.Kill()
	n = b.start(t, "reflector", store, "", "")
	check("lists down at the start")
	if err := n.Stop(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	n = b.start(t, "reflector", store, ", serve: false", "")
	n.demand(t, "serve: false, blocked", bad, hidden)
	n.demand(t, "serve: false, free", free, whole)
	n.demand(t, "serve: false, protected", secret, protected)
	n.Kill()
	n = b.start(t, "reflector", store, ", enabled: false", ", enabled: false")
	n.demand(t, "no lists, blocked", bad, whole)
	n.demand(t, "no lists, protected", secret, whole)
	n.Kill()
	n = b.start(t, "reflector", store, ", delete: true", "")
	n.await(t, "/"+bad.Hash().String(), http.StatusNotFound)
	n.demand(t, "delete: true, blocked", bad, hidden)
	n.demand(t, "delete: true, free", free, whole)
}

// awaitMetric waits until a series has a value.
func awaitMetric(t *testing.T, n *node, series, want string) {
	t.Helper()
	var got string
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		status, body := fetch(t, fmt.Sprintf("http://127.0.0.1:%d/metrics", n.metrics))
		if status != http.StatusOK {
			t.Fatalf("/metrics: %d", status)
		}
		for line := range strings.Lines(string(body)) {
			if value, ok := strings.CutPrefix(strings.TrimSpace(line), series+" "); ok {
				if got = value; got == want {
					return
				}
			}
		}
	}
	log, _ := os.ReadFile(n.Log())
	t.Fatalf("%s is %q after 30 s, want %s\n%s", series, got, want, log)
}

// A blobcache that is told to close without a list protects everything until it has one, and again once that is too old.
func TestClosedWithoutList(t *testing.T) {
	b := newListBed(t)
	b.down()
	o := newOrigin(t, nil)
	store := fmt.Sprintf("  caching:\n    name: edge\n    cache: {disk: {name: d, mount_point: %s, max_size: 256MB, segment_size: 16MB}}\n    origin: {http: {endpoint: '%s/'}}\n", t.TempDir(), o.URL)
	const closed = ", on_failure: closed, max_age: 3s"
	n := b.start(t, "blobcache", store, "", closed)
	var v blob.Verified
	for h, data := range o.blobs {
		var err error
		if v, err = blob.Verify(h, data); err != nil {
			t.Fatal(err)
		}
		break
	}
	n.demand(t, "closed, never a list", v, protected)
	b.protected.Protect(blob.Hash{1})
	n.await(t, "/"+v.Hash().String(), http.StatusOK)
	b.down()
	n.await(t, "/"+v.Hash().String(), http.StatusForbidden)
	n.demand(t, "closed, too old", v, protected)
	b.protected.Protect(v.Hash())
	awaitMetric(t, n, `prism_list_failing{list="protected"}`, "0")
	n.demand(t, "closed, and it is on the list", v, protected)
}

// With --disable-blocklist nothing is blocked, and what is protected stays so. Without a word of lists in the
// configuration both are fetched, from where they are for everybody, and a machine without a network serves all the same.
func TestDefaultLists(t *testing.T) {
	b := newListBed(t)
	proxy, err := url.Parse(b.protected.URL)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 1000)
	b.protected.Handle(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Method + " " + r.Host // CONNECT to the server of a list: refused, as a network that is down
		http.Error(w, "no network", http.StatusBadGateway)
	})
	for _, flag := range []string{"", "--disable-blocklist"} {
		dir := t.TempDir()
		store := fmt.Sprintf("  disk: {name: d, mount_point: %s, max_size: 256MB, segment_size: 16MB, sync: always}\n", dir)
		extra := []string{"HTTPS_PROXY=" + proxy.String(), "NO_PROXY=", "no_proxy=", "SSL_CERT_FILE=" + b.ca}
		if flag != "" {
			extra = append(extra, flag)
		}
		n := startListed(t, "reflector", "", store, extra...)
		v := sdBlob(t, "a"+flag)
		if !uploadSD(t, n, v) {
			t.Error("an upload is not taken")
		}
		n.demand(t, "no network", v, whole)
		awaitMetric(t, n, `prism_list_failing{list="protected"}`, "1")
		want := map[string]bool{"CONNECT direct.api.odysee.com:443": true}
		if flag == "" {
			want["CONNECT api.lbry.com:443"] = true
			awaitMetric(t, n, `prism_list_failing{list="blocked"}`, "1")
		}
		n.Kill()
		got := map[string]bool{}
		for len(seen) > 0 {
			got[<-seen] = true
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("with %q it asked %v, want %v", flag, got, want)
		}
		log, err := os.ReadFile(n.Log())
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(log), "cannot be refreshed; the last good one stays") {
			t.Errorf("the log does not say that lists fail:\n%s", log)
		}
		if off := strings.Contains(string(log), "the block list is off"); off != (flag != "") {
			t.Errorf("with %q the log says that the block list is off: %v", flag, off)
		}
	}
}

// The states of lists are beside the configuration unless it says otherwise.
func TestStateFolder(t *testing.T) {
	b := newListBed(t)
	b.protected.Protect(blob.Hash{1})
	b.blocked.Block()
	b.state = filepath.Join(t.TempDir(), "state")
	n := b.start(t, "reflector", "  mem: {}\n", "", "")
	awaitMetric(t, n, `prism_list_known{list="protected"}`, "1")
	awaitMetric(t, n, `prism_list_known{list="blocked"}`, "1")
	for _, name := range []string{"protected", "blocked"} {
		if _, err := os.Stat(filepath.Join(b.state, name)); err != nil {
			t.Error(err)
		}
	}
	n = startListed(t, "reflector", fmt.Sprintf("lists: {blocklist: {enabled: false}, protected: {url: '%s'}}", b.protected.URL), "  mem: {}\n", "SSL_CERT_FILE="+b.ca)
	awaitMetric(t, n, `prism_list_known{list="protected"}`, "1")
	if _, err := os.Stat(filepath.Join(filepath.Dir(n.Log()), ".reflector-lists", "protected")); err != nil {
		t.Error(err)
	}
}

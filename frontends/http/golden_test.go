package httpd_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	httpd "github.com/OdyseeTeam/prism/frontends/http"
)

// exchanges are what goes over the wire, byte for byte but for the date. {H} is a blob of ten bytes, {P} its first two
// characters, {S} a protected blob of six, {M} one that is missing, {E} one that the store fails for.
var exchanges = []struct{ name, request, answer string }{
	{"blob", "GET /blob?hash={H} HTTP/1.1", ok200 + "0123456789"},
	{"blob with a token", "GET /blob?hash={H}&edge_token=sesame HTTP/1.1", ok200 + "0123456789"},
	{"blob with more parameters", "GET /blob?x=1;2&hash={H}&&y HTTP/1.1", ok200 + "0123456789"},
	{"blob with an escaped name", "GET /blob?%68ash={H} HTTP/1.1", ok200 + "0123456789"},
	{"absolute form", "GET http://evil/blob?hash={H} HTTP/1.1", ok200 + "0123456789"},
	{"object", "GET /{H} HTTP/1.1", ok200 + "0123456789"},
	{"object with a prefix", "GET /{P}/{H} HTTP/1.1", ok200 + "0123456789"},
	{"get", "GET /get/{H} HTTP/1.1", strings.Replace(ok200, via, "", 1) + "0123456789"},
	{"get with a trace", "GET /get/{H}?trace=true HTTP/1.1", ok200 + "0123456789"},
	{"get without a trace", "GET /get/{H}?trace=false HTTP/1.1", strings.Replace(ok200, via, "", 1) + "0123456789"},

	{"missing", "GET /blob?hash={M} HTTP/1.1", missing},
	{"missing object", "GET /{M} HTTP/1.1", missing},
	{"missing get", "GET /get/{M} HTTP/1.1", strings.Replace(missing, via, "", 1)},
	{"wrong prefix", "GET /zz/{H} HTTP/1.1", nothing},
	{"unknown path", "GET /favicon.ico HTTP/1.1", nothing},
	{"root", "GET / HTTP/1.1", nothing},

	{"head blob", "HEAD /blob?hash={H} HTTP/1.1",
		"HTTP/1.1 204 No Content\nCache-Control: no-store\nConnection: close\n\n"},
	{"head blob missing", "HEAD /blob?hash={M} HTTP/1.1", head(strings.Replace(missing, via, "", 1))},
	{"head object", "HEAD /{H} HTTP/1.1", "HTTP/1.1 200 OK\nAccept-Ranges: bytes\n" + public +
		"Content-Type: application/octet-stream\nEtag: \"{H}\"\nConnection: close\n\n"},
	{"head object missing", "HEAD /{P}/{H}x HTTP/1.1", head(nothing)},
	{"head get", "HEAD /get/{H} HTTP/1.1", "HTTP/1.1 200 OK\nAccept-Ranges: bytes\n" + public +
		"Content-Type: application/octet-stream\nEtag: \"{H}\"\nConnection: close\n\n"},

	{"has", "GET /has/{H} HTTP/1.1", "HTTP/1.1 200 OK\nCache-Control: no-store\nContent-Length: 76\n" +
		"Content-Type: application/json\nConnection: close\n\n" +
		`{"lbrycrd_address":"bJxKvpD96kaJLriqVajZ7SaQTsWWyrGQct","is_available":true}`},
	{"has not", "GET /has/{M} HTTP/1.1", "HTTP/1.1 404 Not Found\nCache-Control: no-store\nContent-Length: 77\n" +
		"Content-Type: application/json\nConnection: close\n\n" +
		`{"lbrycrd_address":"bJxKvpD96kaJLriqVajZ7SaQTsWWyrGQct","is_available":false}`},
	{"head has", "HEAD /has/{H} HTTP/1.1", "HTTP/1.1 200 OK\nCache-Control: no-store\nContent-Length: 76\n" +
		"Content-Type: application/json\nConnection: close\n\n"},

	{"protected", "GET /blob?hash={S} HTTP/1.1", protected},
	{"protected, wrong token", "GET /blob?hash={S}&edge_token=sesam HTTP/1.1", protected},
	{"protected object", "GET /{S} HTTP/1.1", protected},
	{"protected get", "GET /get/{S} HTTP/1.1", protected},
	{"protected head object", "HEAD /{S} HTTP/1.1", head(protected)},
	{"protected head blob", "HEAD /blob?hash={S} HTTP/1.1",
		"HTTP/1.1 204 No Content\nCache-Control: no-store\nConnection: close\n\n"},
	{"protected has", "HEAD /has/{S} HTTP/1.1", "HTTP/1.1 200 OK\nCache-Control: no-store\nContent-Length: 76\n" +
		"Content-Type: application/json\nConnection: close\n\n"},
	{"protected, right token", "GET /blob?hash={S}&edge_token=sesame HTTP/1.1",
		"HTTP/1.1 200 OK\nAccept-Ranges: bytes\nCache-Control: private, no-store\n" +
			"Content-Disposition: filename={S}\nContent-Length: 6\nContent-Type: application/octet-stream\n" +
			"Etag: \"{S}\"\n" + via + "Connection: close\n\nsecret"},

	{"range", "GET /{H} HTTP/1.1\nRange: bytes=2-4", partial("2-4", 3) + "234"},
	{"range to the end", "GET /{H} HTTP/1.1\nRange: bytes=0-", partial("0-9", 10) + "0123456789"},
	{"last bytes", "GET /blob?hash={H} HTTP/1.1\nRange: bytes=-3", partial("7-9", 3) + "789"},
	{"range past the end", "GET /{H} HTTP/1.1\nRange: bytes=8-99999999999999999999", partial("8-9", 2) + "89"},
	{"range outside", "GET /{H} HTTP/1.1\nRange: bytes=10-", unsatisfiable},
	{"range of nothing", "GET /{H} HTTP/1.1\nRange: bytes=-0", unsatisfiable},
	{"two ranges", "GET /{H} HTTP/1.1\nRange: bytes=0-0,1-1", ok200 + "0123456789"},
	{"if-range", "GET /{H} HTTP/1.1\nRange: bytes=2-4\nIf-Range: \"{H}\"", partial("2-4", 3) + "234"},
	{"if-range of another", "GET /{H} HTTP/1.1\nRange: bytes=2-4\nIf-Range: \"{M}\"", ok200 + "0123456789"},
	{"if-range of a date", "GET /{H} HTTP/1.1\nRange: bytes=2-4\nIf-Range: Wed, 21 Oct 2015 07:28:00 GMT",
		ok200 + "0123456789"},

	{"if-none-match", "GET /{H} HTTP/1.1\nIf-None-Match: \"x\", W/\"{H}\"", notModified},
	{"if-none-match any", "GET /blob?hash={H} HTTP/1.1\nIf-None-Match: *", notModified},
	{"if-none-match head", "HEAD /{H} HTTP/1.1\nIf-None-Match: \"{H}\"", notModified},
	{"if-none-match missing", "GET /{M} HTTP/1.1\nIf-None-Match: \"{M}\"", strings.Replace(missing, via, "", 1)},
	{"if-none-match other", "GET /{H} HTTP/1.1\nIf-None-Match: \"{M}\"", ok200 + "0123456789"},
	{"if-match", "GET /{H} HTTP/1.1\nIf-Match: \"{H}\"", ok200 + "0123456789"},
	{"if-match other", "GET /{H} HTTP/1.1\nIf-Match: W/\"{H}\"", errorAnswer("412 Precondition Failed", "")},

	{"healthy", "GET /healthz HTTP/1.1", okText},
	{"ready", "GET /readyz HTTP/1.1", okText},
	{"put", "PUT /{H} HTTP/1.1\nContent-Length: 2\n\nxx", "HTTP/1.1 405 Method Not Allowed\nAllow: GET, HEAD\n" +
		"Cache-Control: no-store\nConnection: close\nContent-Length: 19\nContent-Type: text/plain; charset=utf-8\n\n" +
		"Method Not Allowed\n"},
	{"trace", "TRACE /{H} HTTP/1.1", errorAnswer("405 Method Not Allowed", "Allow: GET, HEAD\n")},
	{"options", "OPTIONS * HTTP/1.1", errorAnswer("405 Method Not Allowed", "Allow: GET, HEAD\n")},
	{"connect", "CONNECT evil:443 HTTP/1.1", errorAnswer("405 Method Not Allowed", "Allow: GET, HEAD\n")},
	{"no hash", "GET /blob HTTP/1.1", errorAnswer("400 Bad Request", "")},
	{"store fails", "GET /{E} HTTP/1.1", errorAnswer("502 Bad Gateway", "")},
	{"store fails, head", "HEAD /{E} HTTP/1.1", head(errorAnswer("502 Bad Gateway", ""))},
}

const (
	via    = `Via: {"stacks":[{"origin_name":"mem-shelf","host_name":"edge1","timing":81000}]}` + "\n"
	public = "Cache-Control: public, max-age=31536000, immutable\n"
	ok200  = "HTTP/1.1 200 OK\nAccept-Ranges: bytes\n" + public +
		"Content-Disposition: filename={H}\nContent-Length: 10\nContent-Type: application/octet-stream\n" +
		"Etag: \"{H}\"\n" + via + "Connection: close\n\n"
	missing = "HTTP/1.1 404 Not Found\nCache-Control: no-store\nContent-Length: 10\n" +
		"Content-Type: text/plain; charset=utf-8\n" + via + "Connection: close\n\nNot Found\n"
	nothing = "HTTP/1.1 404 Not Found\nCache-Control: no-store\nContent-Length: 10\n" +
		"Content-Type: text/plain; charset=utf-8\nConnection: close\n\nNot Found\n"
	protected = "HTTP/1.1 403 Forbidden\nCache-Control: no-store\nContent-Length: 27\n" +
		"Content-Type: text/plain; charset=utf-8\nConnection: close\n\nrequested blob is protected"
	notModified   = "HTTP/1.1 304 Not Modified\n" + public + "Etag: \"{H}\"\nConnection: close\n\n"
	unsatisfiable = "HTTP/1.1 416 Requested Range Not Satisfiable\nCache-Control: no-store\nContent-Length: 32\n" +
		"Content-Range: bytes */10\nContent-Type: text/plain; charset=utf-8\nConnection: close\n\n" +
		"Requested Range Not Satisfiable\n"
	okText = "HTTP/1.1 200 OK\nCache-Control: no-store\nContent-Length: 3\n" +
		"Content-Type: text/plain; charset=utf-8\nConnection: close\n\nok\n"
)

func partial(which string, n int) string {
	return fmt.Sprintf("HTTP/1.1 206 Partial Content\nAccept-Ranges: bytes\n"+public+
		"Content-Disposition: filename={H}\nContent-Length: %d\nContent-Range: bytes %s/10\n"+
		"Content-Type: application/octet-stream\nEtag: \"{H}\"\n"+via+"Connection: close\n\n", n, which)
}

func errorAnswer(statusLine, extra string) string {
	text := statusLine[4:] + "\n"
	return fmt.Sprintf("HTTP/1.1 %s\n%sCache-Control: no-store\nContent-Length: %d\n"+
		"Content-Type: text/plain; charset=utf-8\nConnection: close\n\n%s", statusLine, extra, len(text), text)
}

// head is an answer without its body.
func head(answer string) string {
	top, _, _ := strings.Cut(answer, "\n\n")
	return top + "\n\n"
}

func TestWire(t *testing.T) {
	here, secret, broken := []byte("0123456789"), []byte("secret"), blob.Sum([]byte("broken"))
	store := newShelf(here, secret)
	store.First(func(_ context.Context, h blob.Hash) error {
		if h == broken {
			return errors.New("origin: 500 Internal Server Error")
		}
		return nil
	})
	gate := &httpd.TokenGate{Protected: func(h blob.Hash) bool { return h == blob.Sum(secret) }, Token: "sesame"}
	s := start(t, httpd.Options{Store: store, Gate: gate})
	name := blob.Sum(here).String()
	names := strings.NewReplacer("{H}", name, "{P}", name[:2], "{S}", blob.Sum(secret).String(),
		"{M}", blob.Sum([]byte("missing")).String(), "{E}", broken.String())
	for _, x := range exchanges {
		t.Run(x.name, func(t *testing.T) {
			line, rest, _ := strings.Cut(x.request, "\n")
			request := line + "\nHost: x\nConnection: close\n" + rest
			if !strings.Contains(rest, "\n\n") {
				request = strings.TrimSuffix(request, "\n") + "\n\n"
			}
			got := plain(s.talk(names.Replace(strings.ReplaceAll(request, "\n", "\r\n"))))
			if want := names.Replace(x.answer); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// Errors of a store, and the answers they mean: the half of BAD-INPUTS 24 that a client sees. Only one of them is 404.
func TestStoreErrors(t *testing.T) {
	store := newShelf()
	s := start(t, httpd.Options{Store: store})
	for _, c := range []struct {
		err    error
		status string
		retry  bool
	}{
		{blob.ErrNotFound, "404", false},
		{fmt.Errorf("caching: %w", blob.ErrNotFound), "404", false},
		{blob.ErrProtected, "403", false},
		{blob.ErrBusy, "503", true},
		{blob.ErrUnavailable, "503", true},
		{blob.ErrFull, "503", true},
		{fmt.Errorf("%w: %w", blob.ErrUnavailable, context.DeadlineExceeded), "504", false},
		{context.DeadlineExceeded, "504", false},
		{context.Canceled, "503", true},
		{blob.ErrCorrupt, "502", false},
		{blob.ErrTooBig, "502", false},
		{blob.ErrEmpty, "502", false},
		{errors.New("dial tcp: connection refused"), "502", false},
	} {
		store.First(func(context.Context, blob.Hash) error { return c.err })
		for _, path := range []string{"/blob?hash=", "/", "/get/", "/has/"} {
			if path == "/has/" && c.status == "404" {
				continue // Has says so without an error
			}
			top, _ := s.get(path + blob.Sum(nil).String())
			if status(top) != c.status || strings.Contains(top, "Retry-After: 1") != c.retry {
				t.Errorf("%s: %v: got\n%s\nwant %s, retry: %v", path, c.err, top, c.status, c.retry)
			}
			if !strings.Contains(top, "Cache-Control: no-store") {
				t.Errorf("%s: %v: may be cached:\n%s", path, c.err, top)
			}
		}
	}
}

func TestLookupTimeout(t *testing.T) {
	store := newShelf()
	store.First(func(ctx context.Context, _ blob.Hash) error {
		<-ctx.Done()
		return ctx.Err()
	})
	s := start(t, httpd.Options{Store: store, LookupTimeout: 20 * time.Millisecond})
	for _, path := range []string{"/blob?hash=", "/has/"} {
		if top, _ := s.get(path + blob.Sum(nil).String()); status(top) != "504" {
			t.Errorf("%s of an origin that hangs: %s", path, top)
		}
	}
	if got := s.Stats().Errors["deadline_exceeded"]; got != 2 {
		t.Errorf("counted %d deadlines, want 2", got)
	}
}

func TestReady(t *testing.T) {
	var closed atomic.Bool
	s := start(t, httpd.Options{Store: newShelf(), Ready: func() error {
		if closed.Load() {
			return errors.New("not open yet")
		}
		return nil
	}})
	if top, _ := s.get("/readyz"); status(top) != "200" {
		t.Errorf("ready: %s", top)
	}
	closed.Store(true)
	if top, body := s.get("/readyz"); status(top) != "503" || body != "not open yet\n" {
		t.Errorf("not ready: %s %q", top, body)
	}
	if top, _ := s.get("/healthz"); status(top) != "200" {
		t.Errorf("healthy: %s", top)
	}
}

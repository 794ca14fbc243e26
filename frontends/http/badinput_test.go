package httpd_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	httpd "github.com/OdyseeTeam/prism/frontends/http"
)

// BAD-INPUTS 1 to 7, 9 to 12, 18 to 20: what is refused is refused before the store hears of it, and what is odd but
// legal is served.
func TestBadRequests(t *testing.T) {
	here := []byte("0123456789")
	h := blob.Sum(here).String()
	line := func(target string) string {
		return "GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	}
	with := func(header string) string {
		return "GET /" + h + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + header + "\r\n\r\n"
	}
	many := strings.TrimSuffix(strings.Repeat("1-1,", 1000), ",")
	for _, c := range []struct {
		number  int
		request string
		status  string // "" is a close without an answer
		stored  bool   // the store is asked
	}{
		{1, line("/blob"), "400", false},
		{1, line("/blob?"), "400", false},
		{1, line("/get/"), "400", false},
		{1, line("/has/"), "400", false},
		{2, line("/blob?hash="), "400", false},
		{2, line("/blob?hash"), "400", false},
		{3, line("/blob?hash=" + h[1:]), "400", false},
		{3, line("/blob?hash=" + h + "0"), "400", false},
		{3, line("/get/" + h[1:]), "400", false},
		{3, line("/has/" + h + "0"), "400", false},
		{3, line("/" + h[1:]), "404", false},
		{3, line("/0/" + h[1:]), "404", false},
		{4, line("/blob?hash=" + strings.ToUpper(h)), "400", false},
		{4, line("/" + strings.ToUpper(h)), "404", false},
		{5, line("/blob?hash=" + h[1:] + "g"), "400", false},
		{5, line("/blob?hash=" + h[3:] + "１"), "400", false},
		{5, line("/blob?hash=" + h[1:] + "%00"), "400", false},
		{5, line("/blob?hash=" + h[3:] + "%00"), "400", false},
		{5, line("/get/" + h[1:] + "%00"), "400", false},
		{5, line("/blob?hash=" + h + "%0"), "400", false},
		{5, line("/blob?hash=%zz" + h), "400", false},
		{5, line("/get/%zz"), "400", false},
		{6, line("/blob?hash=../../../etc/passwd"), "400", false},
		{6, line("/../../../etc/passwd"), "404", false},
		{6, line("/get/%2e%2e%2f%2e%2e%2fetc%2fpasswd"), "400", false},
		{6, line("/blob?hash=" + strings.Repeat("../", 32)), "400", false},
		{6, line("/blob?hash=%2e%2e%2f" + h[3:]), "400", false},
		{6, line("/" + strings.Repeat("../", 32)), "404", false},
		{6, line("/./" + h), "404", false},
		{6, line("//" + h), "404", false},
		{6, line("/" + h + "/"), "404", false},
		{6, line("/" + h + "/" + h), "200", true},
		{6, line("/%" + fmt.Sprintf("%x", h[0]) + h[1:]), "200", true},
		{7, line("/blob?hash=" + h + "&hash=" + h), "400", false},
		{7, line("/blob?hash=&hash=" + h), "400", false},
		{7, line("/blob?hash=" + h + "&h%61sh=" + h), "400", false},
		{7, line("/blob?edge_token=a;hash=" + h), "400", false},
		{7, line("/blob?hash=" + h + ";edge_token=a"), "400", false},
		{7, line("/blob?hash=" + h + "#x"), "400", false},
		{7, line("/blob?hash=" + h + "%26edge_token=a"), "400", false},
		{7, line("/blob?hash=" + h + "&edge_token=a&edge_token=a"), "400", false},
		{7, line("/" + h + "?edge_token=%"), "400", false},
		{7, line("/blob?HASH=" + h), "400", false},
		{7, line("/blob?a=%&hash=" + h), "200", true},
		{8, line("/blob?hash=" + h + "&x=" + strings.Repeat("a", 1<<20)), "431", false},
		{8, with(strings.Repeat("a: b\r\n", 10_000) + "a: b"), "431", false},
		{8, with("a: " + strings.Repeat("b", 1<<20)), "431", false},
		{8, with("a: " + strings.Repeat("b", 9<<10)), "431", false},
		{8, with("a: " + strings.Repeat("b", 7<<10)), "200", true},
		{9, with("Range: bytes=" + many), "200", true},
		{9, with("Range: bytes=0-0\r\nRange: bytes=1-1"), "200", true},
		{10, with("Range: bytes=-0"), "416", true},
		{10, with("Range: bytes=9223372036854775807-"), "416", true},
		{10, with("Range: bytes=18446744073709551615-1"), "200", true},
		{10, with("Range: bytes=5-1"), "200", true},
		{10, with("Range: lines=1-2"), "200", true},
		{10, with("Range: bytes"), "200", true},
		{10, with("Range: bytes=a-b"), "200", true},
		{10, with("Range: bytes=1-2\r\nIf-Range: W/\"" + h + "\""), "200", true},
		{10, with("Range: bytes=1-2\r\nIf-Range:"), "200", true},
		{11, with("Content-Length: 5\r\n\r\nhello"), "200", true},
		{11, with("Content-Length: 9223372036854775808"), "400", false},
		{11, with("Content-Length: -1"), "400", false},
		{11, with("Content-Length: 1\r\nContent-Length: 2\r\n\r\nx"), "400", false},
		{11, with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"), "200", true},
		{11, with("Transfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n"), "200", true},
		{11, with("Transfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("x", 5000) + "\r\na\r\n"), "200", true},
		{11, with("Transfer-Encoding: gzip"), "501", false},
		{12, with("Expect: 100-continue"), "200", true},
		{12, with("Expect: 100-continue\r\nContent-Length: 5"), "200", true},
		{12, with("Expect: the spanish inquisition"), "417", false},
		{18, "TRACE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "405", false},
		{18, "GET http://evil/" + h + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "200", true},
		{18, "GET /" + h + "\r\n\r\n", "400", false},
		{18, "GET /" + h + " HTTP/0.9\r\n\r\n", "505", false},
		{18, "GET /" + h + " HTTP/2.0\r\n\r\n", "505", false},
		{18, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505", false},
		{18, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("x", 600) + "\r\n\r\n", "400", false},
		{18, "GET /" + h + " HTTP/1.1\r\nConnection: close\r\n\r\n", "400", false},
		{18, "GET /" + h + " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" +
			"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\nConnection: close\r\n\r\n", "200", true},
		{19, with("Accept-Encoding: gzip, br;q=1.0, *;q=0, \x80\xff"), "200", true},
		{19, with("Accept-Encoding: identity;q=0"), "200", true},
	} {
		store := newShelf(here)
		s := start(t, httpd.Options{Store: store, IdleTimeout: time.Second, HeaderTimeout: time.Second})
		answer := s.talk(c.request)
		if got := status(answer); got != c.status {
			t.Errorf("%d: %q: got %q, want %s", c.number, clip(c.request), clip(answer), c.status)
		}
		if asked := store.Calls() > 0; asked != c.stored {
			t.Errorf("%d: %q: store asked: %v, want %v", c.number, clip(c.request), asked, c.stored)
		}
		if c.status == "200" && !strings.HasSuffix(answer, "\r\n\r\n0123456789") {
			t.Errorf("%d: %q: not the blob: %q", c.number, clip(c.request), answer)
		}
		if err := s.Drain(); err != nil {
			t.Errorf("%d: %q: %v", c.number, clip(c.request), err)
		}
	}
}

// BAD-INPUTS 20 and 23's gate: what is no token opens nothing, and none of it is logged.
func TestTokens(t *testing.T) {
	secret := []byte("secret")
	h := blob.Sum(secret)
	var log bytes.Buffer
	for _, server := range []string{"", "sesame"} {
		gate := &httpd.TokenGate{Protected: func(x blob.Hash) bool { return x == h }, Token: server}
		s := start(t, httpd.Options{Store: newShelf(secret), Gate: gate,
			Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		for _, token := range []string{"", "sesam", "sesame2", "Sesame", "%73esame", strings.Repeat("sesame", 1000)} {
			want := "403"
			if server == "sesame" && token == "%73esame" {
				want = "200" // it decodes to the token
			}
			for _, path := range []string{"/blob?hash=%s&edge_token=%s", "/%s?edge_token=%s", "/get/%s?edge_token=%s"} {
				top, _ := s.get(fmt.Sprintf(path, h, token))
				if status(top) != want {
					t.Errorf("server %q, token %q: got %s, want %s", server, clip(token), top, want)
				}
			}
		}
		if err := s.Drain(); err != nil {
			t.Error(err)
		}
		if n := s.Stats().Errors["protected_blob"]; n < 15 {
			t.Errorf("%d refusals counted", n)
		}
	}
	if strings.Contains(log.String(), "sesam") {
		t.Errorf("a token is in the log: %s", log.String())
	}
}

// BAD-INPUTS 16: many requests before the first answer is read.
func TestPipelined(t *testing.T) {
	here := content(1, 3000)
	s := start(t, httpd.Options{Store: newShelf(here)})
	const n = 10_000
	c := s.dial()
	one := "GET /blob?hash=" + blob.Sum(here).String() + " HTTP/1.1\r\nHost: x\r\n"
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(c, strings.Repeat(one+"\r\n", n-1)+one+"Connection: close\r\n\r\n")
		sent <- err
	}()
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if got := bytes.Count(answer, here); got != n {
		t.Errorf("%d answers of %d", got, n)
	}
}

// BAD-INPUTS 21, 22: misses cost the server nothing that lasts.
func TestManyMisses(t *testing.T) {
	s := start(t, httpd.Options{Store: newShelf()})
	var requests strings.Builder
	const n = 5000
	for i := range n {
		h := blob.Sum([]byte{byte(i), byte(i >> 8), byte(i % 2)})
		fmt.Fprintf(&requests, "GET /blob?hash=%s HTTP/1.1\r\nHost: x\r\n\r\n", h)
	}
	requests.WriteString("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if got := strings.Count(s.talk(requests.String()), "HTTP/1.1 404 "); got != n+1 {
		t.Errorf("%d answers of 404, want %d", got, n+1)
	}
	if got := s.Stats().Errors["blob_not_found"]; got != n {
		t.Errorf("counted %d misses, want %d", got, n)
	}
}

// BAD-INPUTS 13, 17: who is slow with a request is cut, and who comes back too late too.
func TestSlowRequests(t *testing.T) {
	here := []byte("0123456789")
	request := "GET /" + blob.Sum(here).String() + " HTTP/1.1\r\nHost: x\r\n\r\n"
	s := start(t, httpd.Options{Store: newShelf(here),
		HeaderTimeout: 400 * time.Millisecond, IdleTimeout: 400 * time.Millisecond})

	t.Run("header", func(t *testing.T) {
		c := s.dial()
		begin := time.Now()
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			_, _ = io.ReadAll(c)
		}()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i = (i + 1) % 20 {
			select {
			case <-gone:
				if took := time.Since(begin); took > 5*time.Second {
					t.Errorf("cut after %v", took)
				}
				return
			case <-tick.C:
				_, _ = io.WriteString(c, request[i:i+1])
			}
		}
	})
	t.Run("pause, then a burst", func(t *testing.T) {
		c := s.dial()
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		first := make([]byte, 4096)
		if n, err := c.Read(first); err != nil || status(string(first[:n])) != "200" {
			t.Fatalf("%q, %v", first[:n], err)
		}
		until(t, "the idle connection to be closed", func() bool { return s.Stats().Connections == 0 })
		_, _ = io.WriteString(c, strings.Repeat(request, 100))
		if rest, _ := io.ReadAll(c); len(rest) != 0 {
			t.Errorf("an answer after the close: %q", clip(string(rest)))
		}
	})
	t.Run("body", func(t *testing.T) {
		got := s.talk("GET /" + blob.Sum(here).String() + " HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx")
		if status(got) != "200" {
			t.Errorf("a request whose body never ends: %q", got)
		}
	})
	t.Run("body after an expectation that fails", func(t *testing.T) {
		got := s.talk("GET / HTTP/1.1\r\nHost: x\r\nExpect: x\r\nContent-Length: 100\r\n\r\nx")
		if status(got) != "417" {
			t.Errorf("a request whose body never ends: %q", got)
		}
	})
}

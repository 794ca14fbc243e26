package peerd_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	peerd "github.com/OdyseeTeam/prism/frontends/peer"
)

// BAD-INPUTS 37 to 41, 43 to 45: what is no request closes the connection, soon and without an answer, and reaches no
// store.
func TestBadRequests(t *testing.T) {
	data := content(20, 1000)
	h := hexOf(data)
	store := newShelf(t, data)
	s := start(t, peerd.Options{Store: store})
	for _, c := range []struct{ name, request, kind string }{
		{"HTTP", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "invalid_peer_data"},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 300), "invalid_peer_data"},
		{"a BOM", "\xef\xbb\xbf" + forBlob(data), "invalid_peer_data"},
		{"a list", "[" + forBlob(data) + "]", "invalid_peer_data"},
		{"a blank first", " " + forBlob(data), "invalid_peer_data"},
		{"64 KiB without an end", `{"a":"` + strings.Repeat("x", 64<<10), "request_too_large"},
		{"a long string of braces", `{"a":"` + strings.Repeat("}", 64<<10) + `"}`, "request_too_large"},
		{"1,000,000 braces", strings.Repeat("{", 1_000_000), "invalid_peer_json"},
		{"100,000 nested objects", strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000), "invalid_peer_json"},
		{"10,000 hashes", `{"requested_blobs":["` + strings.Repeat(h+`","`, 10_000) + h + `"]}`, "request_too_large"},
		{"95 characters", `{"requested_blob":"` + h[1:] + `"}`, "invalid_blob_hash"},
		{"97 characters", `{"requested_blob":"` + h + `0"}`, "invalid_blob_hash"},
		{"none", `{"requested_blob":""}`, "invalid_blob_hash"},
		{"upper case", `{"requested_blob":"` + strings.ToUpper(h) + `"}`, "invalid_blob_hash"},
		{"a path", `{"requested_blob":"../../../etc/passwd"}`, "invalid_blob_hash"},
		{"a path of 96", `{"requested_blob":"` + strings.Repeat("../", 32) + `"}`, "invalid_blob_hash"},
		{"NUL", `{"requested_blob":"\u0000` + h[1:] + `"}`, "invalid_blob_hash"},
		{"a number", `{"requested_blob":1}`, "invalid_peer_data"},
		{"an object", `{"requested_blob":{"a":"` + h + `"}}`, "invalid_peer_data"},
		{"a list that is none", `{"requested_blobs":"` + h + `"}`, "invalid_peer_data"},
		{"a rate that is none", `{"blob_data_payment_rate":"x"}`, "invalid_peer_data"},
		{"NaN", `{"blob_data_payment_rate":NaN}`, "invalid_peer_json"},
		{"an address that is none", `{"lbrycrd_address":"yes"}`, "invalid_peer_data"},
		{"braces that do not match", `{]`, "invalid_peer_json"},
		{"no JSON", `{requested_blob:` + h + `}`, "invalid_peer_json"},
	} {
		before := s.Stats().Errors[c.kind]
		con := s.dial()
		sent := make(chan struct{})
		go func() { // the server may close while this still sends
			defer close(sent)
			_, _ = io.WriteString(con, c.request)
		}()
		con.wantClose(c.name)
		con.Close()
		<-sent
		if got := s.Stats().Errors[c.kind] - before; got != 1 {
			t.Errorf("%s: %s went up by %d in %v", c.name, c.kind, got, s.Stats().Errors)
		}
	}
	if n := store.Calls(); n != 0 {
		t.Errorf("%d calls of the store", n)
	}
	if st := s.Stats(); st.Requests != 0 || st.Panics != 0 {
		t.Errorf("%d requests, %d panics", st.Requests, st.Panics)
	}
}

// BAD-INPUTS 42: requests of 600 bytes, and of 64 KiB to the byte.
func TestLargeRequests(t *testing.T) {
	data := content(21, 1000)
	s := start(t, peerd.Options{Store: newShelf(t, data)})
	c := s.dial()
	for _, size := range []int{600, 64 << 10, 600} {
		request := strings.TrimSuffix(forBlob(data), "}") + `,"x":"`
		c.send(request + strings.Repeat("}", size-len(request)-2) + `"}`)
		c.wantBlob(data)
	}
}

// BAD-INPUTS 46: two requests in one segment that is split at every byte, and one byte at a time.
func TestSplit(t *testing.T) {
	small, other := content(22, 10), content(23, 20)
	s := start(t, peerd.Options{Store: newShelf(t, small, other)})
	both := forBlob(small) + "\n" + forBlob(other)
	c := s.dial()
	if err := c.SetNoDelay(true); err != nil {
		t.Fatal(err)
	}
	for i := range len(both) {
		c.send(both[:i])
		c.send(both[i:])
		c.wantBlob(small)
		c.wantBlob(other)
	}
	for i := range both {
		c.send(both[i : i+1])
	}
	c.wantBlob(small)
	c.wantBlob(other)
}

// Many requests at once are answered in order.
func TestPipeline(t *testing.T) {
	var blobs [][]byte
	var all strings.Builder
	for i := range 100 {
		blobs = append(blobs, content(uint64(100+i), 1+i*1000))
		all.WriteString(forBlob(blobs[i]))
	}
	s := start(t, peerd.Options{Store: newShelf(t, blobs...)})
	c := s.dial()
	c.send(all.String())
	for _, b := range blobs {
		c.wantBlob(b)
	}
}

// What follows a good request is no reason not to answer it.
func TestTrailingGarbage(t *testing.T) {
	data := content(24, 1000)
	s := start(t, peerd.Options{Store: newShelf(t, data)})
	c := s.dial()
	c.send(forBlob(data) + "garbage")
	c.wantBlob(data)
	c.wantClose("garbage")
}

// BAD-INPUTS 47: a client that has sent all that it will send still gets its answers.
func TestHalfClose(t *testing.T) {
	data := content(25, blob.MaxSize)
	s := start(t, peerd.Options{Store: newShelf(t, data)})
	c := s.dial()
	c.send(forBlob(data) + forBlob(data))
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.wantBlob(data)
	c.wantBlob(data)
	c.wantClose("the last answer")

	c = s.dial()
	c.send(`{"requested_blob":`)
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.wantClose("half a request")
	if n := s.Stats().Errors["unexpected_eof"]; n != 1 {
		t.Errorf("%d counted", n)
	}
}

// BAD-INPUTS 48: a client that never reads its blob is cut, and holds no slot meanwhile.
func TestNeverReads(t *testing.T) {
	data := content(26, blob.MaxSize)
	store := newShelf(t, data)
	s := start(t, peerd.Options{Store: store, MaxConcurrentRequests: 1, MinRate: 64 << 10, RateWindow: 500 * time.Millisecond})
	lazy := s.narrow()
	lazy.send(strings.Repeat(forBlob(data), 10))
	until(t, "the body to be on its way", func() bool { return s.Stats().Sending == 1 })
	c := s.dial()
	c.send(forBlob(data))
	c.wantBlob(data)
	until(t, "the reader to be cut", func() bool { return s.Stats().SlowReaders == 1 })
	until(t, "its connection to go", func() bool { return s.Stats().Connections == 1 })
	if n := s.Stats().Errors["io_timeout"]; n != 1 {
		t.Errorf("%d timeouts counted", n)
	}
}

// A client that begins a request and does not end it is closed, and so is one that sends a byte now and then.
func TestSlowRequests(t *testing.T) {
	s := start(t, peerd.Options{Store: newShelf(t), RequestTimeout: 200 * time.Millisecond})
	c := s.dial()
	c.send("{")
	c.wantClose("{ and silence")

	c = s.dial()
	c.send("{")
	drip := make(chan struct{})
	go func() {
		defer close(drip)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for err := error(nil); err == nil; <-tick.C {
			_, err = io.WriteString(c, " ")
		}
	}()
	c.wantClose("a byte now and then")
	c.Close()
	<-drip
	if n := s.Stats().Errors["io_timeout"]; n != 2 {
		t.Errorf("%d counted: %v", n, s.Stats().Errors)
	}
}

// A connection on which nothing is asked is closed, which is no error. Blanks are not a question.
func TestIdle(t *testing.T) {
	s := start(t, peerd.Options{Store: newShelf(t), IdleTimeout: 100 * time.Millisecond})
	before := s.Stats().Errors
	s.dial().wantClose("nothing")
	c := s.dial()
	for { // on a busy machine the pause before the request may be too long already
		_, _ = io.WriteString(c, "{}")
		if _, _, err := c.read(); err == nil {
			break
		}
		c = s.dial()
	}
	_, _ = io.WriteString(c, " \n")
	c.wantClose("blanks")
	for kind, n := range s.Stats().Errors {
		if n != before[kind] {
			t.Errorf("%d of %s", n, kind)
		}
	}
}

// Clients that reset the connection while they are sent to cost nothing that stays.
func TestResetWhileSending(t *testing.T) {
	data := content(27, blob.MaxSize)
	store := newShelf(t, data)
	s := start(t, peerd.Options{Store: store})
	for range 50 {
		c := s.narrow()
		c.send(forBlob(data))
		if _, err := io.ReadFull(c, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		if err := c.SetLinger(0); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	until(t, "all of them to go", func() bool { return s.Stats().Connections == 0 })
	st := s.Stats()
	if n := st.Errors["write_conn_reset"] + st.Errors["write_broken_pipe"] + st.Errors["conn_reset"]; n != 50 {
		t.Errorf("%d counted: %v", n, st.Errors)
	}
	if store.Pinned() != 0 {
		t.Errorf("%d handles are pinned", store.Pinned())
	}
}

// A reset instead of a request is counted as one.
func TestResetWhileWaiting(t *testing.T) {
	s := start(t, peerd.Options{Store: newShelf(t)})
	c := s.dial()
	c.ask("{}")
	if err := c.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	c.Close()
	until(t, "it to be counted", func() bool { return s.Stats().Errors["read_conn_reset"] == 1 })
}

package reflector_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/frontends/reflector"
)

// An SDK uploads a stream: every answer to the byte, however the client's bytes are cut.
func TestTranscript(t *testing.T) {
	for _, piece := range []int{1, 7, 1 << 20} {
		t.Run(fmt.Sprintf("pieces of %d", piece), func(t *testing.T) {
			store := newShelf(t)
			s := start(t, reflector.Options{Store: store})
			a, b := content(1, 900), content(2, 5)
			sd := descriptor(a, b)
			c := s.dial()
			say := func(text string) {
				t.Helper()
				for len(text) > 0 {
					n := min(piece, len(text))
					c.say(text[:n])
					text = text[n:]
				}
			}
			for _, turn := range [][2]string{
				{`{"version": 1}`, `{"version":1}`},
				{offerSD(sd), `{"send_sd_blob":true}`},
				{string(sd), `{"received_sd_blob":true}`},
				{offer(a), `{"send_blob":true}`},
				{string(a), `{"received_blob":true}`},
				{offer(a) + "\n", `{"send_blob":false}`},
				{offerSD(sd), `{"send_sd_blob":false,"needed_blobs":` + hashes(b) + `}`},
				{offer(b), `{"send_blob":true}`},
				{string(b), `{"received_blob":true}`},
				{offerSD(sd), `{"send_sd_blob":false}`},
			} {
				say(turn[0])
				c.hear(turn[1])
			}
			c.Close()
			store.holds(t, a, blob.KindContent)
			store.holds(t, b, blob.KindContent)
			store.holds(t, sd, blob.KindSD)
			want := uint64(len(a) + len(b) + len(sd))
			if st := s.Stats(); st.Blobs != 2 || st.SDBlobs != 1 || st.BytesIn != want || st.Panics != 0 || st.Refused != 0 {
				t.Errorf("stats %+v", st)
			}
			until(t, "the connection to go", func() bool { return s.Stats().Connections == 0 })
			for kind, n := range s.Stats().Errors {
				if n != 0 {
					t.Errorf("%d errors %s", n, kind)
				}
			}
		})
	}
}

func TestVersion0(t *testing.T) {
	s := start(t, reflector.Options{Store: newShelf(t)})
	c := s.dial()
	c.say(`{"version":0}`)
	c.hear(`{"version":0}`)
	c.say(offer([]byte("x")))
	c.hear(`{"send_blob":true}`)
}

// BAD-INPUTS 49, and what is no handshake at all: closed without an answer.
func TestBadHandshake(t *testing.T) {
	store := newShelf(t)
	s := start(t, reflector.Options{Store: store})
	for _, text := range []string{
		`{"version":2}`, `{"version":3}`, `{"version":-1}`, `{"version":"1"}`, `{"version":null}`, `{"version":1e99}`,
		`{"version":1.5}`, `{"version":true}`, `{"version":[1]}`, `{}`, offer([]byte("x")), offerSD([]byte("x")),
		"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\x00", "[1]", "null", `"x"`, "\x00", `{"version":1]`, `{"version":01}`,
		`{"a":` + strings.Repeat("[", 70), "{" + strings.Repeat(" ", 64<<10),
	} {
		c := s.dial()
		c.say(text)
		c.gone()
	}
	c := s.dial()
	c.Close()
	if n := store.asked.Load(); n != 0 {
		t.Errorf("the store was asked %d times", n)
	}
	until(t, "the errors to be counted", func() bool {
		st := s.Stats()
		return st.Connections == 0 && st.Errors["request_too_large"] == 1 && st.Errors["json_syntax"] > 5 && st.Errors["other"] > 5
	})
}

// BAD-INPUTS 50 and 51: closed without an answer, and the store is not asked.
func TestBadRequests(t *testing.T) {
	store := newShelf(t)
	s := start(t, reflector.Options{Store: store})
	good := blob.Sum([]byte("x")).String()
	for _, prefix := range []string{"", "sd_"} {
		for _, size := range []string{
			"-1", "0", "2097153", "2147483648", "9223372036854775808", "-9223372036854775809", "1.5", `"5"`, "null", "1e3", "[]",
		} {
			c := s.greet()
			c.say(request(prefix, good, size))
			c.gone()
		}
		for _, hash := range []string{
			"", "abcdefg", good[1:], good + "0", strings.ToUpper(good), strings.Repeat("g", 96), strings.Repeat("../", 32), strings.Repeat("a", 95) + `\u0000`,
		} {
			c := s.greet()
			c.say(request(prefix, hash, "5"))
			c.gone()
		}
	}
	for _, text := range []string{`{"version":1}`, `{}`, `{"blob_hash":"` + good + `"}`, "x", "\x00"} {
		c := s.greet()
		c.say(text)
		c.gone()
	}
	if n := store.asked.Load() + store.puts.Load(); n != 0 {
		t.Errorf("the store was asked %d times", n)
	}
	until(t, "the errors to be counted", func() bool {
		e := s.Stats().Errors
		return e["blob_too_big"] == 6 && e["zero_byte_blob"] == 2 && e["invalid_blob_hash"] >= 14 && e["json_syntax"] >= 4
	})
}

// BAD-INPUTS 52: SD keys win.
func TestBothHashes(t *testing.T) {
	store := newShelf(t)
	s := start(t, reflector.Options{Store: store})
	sd, other := descriptor(), []byte("x")
	c := s.greet()
	c.say(strings.TrimSuffix(offer(other), "}") + "," + strings.TrimPrefix(offerSD(sd), "{"))
	c.hear(`{"send_sd_blob":true}`)
	c.say(string(sd))
	c.hear(`{"received_sd_blob":true}`)
	store.holds(t, sd, blob.KindSD)
	store.lacks(t, blob.Sum(other))
}

// BAD-INPUTS 53: everything at once, then the end of the client's side. The answers come one by one.
func TestPipelineAndHalfClose(t *testing.T) {
	store := newShelf(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	writes := &recorder{Listener: ln}
	s := startOn(t, reflector.Options{Store: store}, writes)
	a, b, sd := content(1, blob.MaxSize), []byte("  {}"), descriptor()
	answers := []string{
		`{"version":1}`, `{"send_blob":true}`, `{"received_blob":true}`, `{"send_sd_blob":true}`, `{"received_sd_blob":true}`,
		`{"send_blob":true}`, `{"received_blob":true}`, `{"send_blob":false}`, `{"send_sd_blob":false}`,
	}
	c := s.dial()
	go func() {
		_, _ = io.WriteString(c, `{"version":1}`+offer(a)+string(a)+offerSD(sd)+string(sd)+offer(b)+string(b)+"\r\n"+offer(a)+offerSD(sd))
		_ = c.CloseWrite()
	}()
	c.hear(answers...)
	c.gone()
	store.holds(t, a, blob.KindContent)
	store.holds(t, b, blob.KindContent)
	store.holds(t, sd, blob.KindSD)
	if got := writes.all(); !slices.Equal(got, answers) {
		t.Errorf("writes %q, want %q", got, answers)
	}
}

// recorder notes every write of the server.
type recorder struct {
	net.Listener
	mu     sync.Mutex
	writes []string
}

type recorded struct {
	net.Conn
	r *recorder
}

func (r *recorder) Accept() (net.Conn, error) {
	c, err := r.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &recorded{c, r}, nil
}

func (c *recorded) Write(p []byte) (int, error) {
	c.r.mu.Lock()
	c.r.writes = append(c.r.writes, string(p))
	c.r.mu.Unlock()
	return c.Conn.Write(p)
}

func (r *recorder) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.writes)
}

// BAD-INPUTS 53: a body that is sent although it was not wanted is no message.
func TestBodyNotWanted(t *testing.T) {
	store := newShelf(t)
	s := start(t, reflector.Options{Store: store})
	data := content(1, 1000)
	if err := store.Put(t.Context(), verified(t, data), blob.KindContent); err != nil {
		t.Fatal(err)
	}
	c := s.greet()
	c.say(offer(data), string(data))
	c.hear(`{"send_blob":false}`)
	c.gone()
}

// BAD-INPUTS 54: false, then the end; and nothing of it is stored.
func TestMismatch(t *testing.T) {
	store := newShelf(t)
	s := start(t, reflector.Options{Store: store})
	for _, n := range []int{1, 1000, blob.MaxSize} {
		data := content(uint64(n), n)
		c := s.greet()
		c.say(offer(data))
		c.hear(`{"send_blob":true}`)
		data[n-1] ^= 1
		c.say(string(data))
		c.hear(`{"received_blob":false}`)
		c.gone()
		data[n-1] ^= 1
		store.lacks(t, blob.Sum(data))
		if _, err := s.client().Upload(t.Context(), verified(t, data), blob.KindContent); err != nil {
			t.Errorf("the right bytes afterwards: %v", err)
		}
		store.holds(t, data, blob.KindContent)
	}
	if st := s.Stats(); st.Errors["hash_mismatch"] != 3 || st.Blobs != 3 {
		t.Errorf("stats %+v", st)
	}
}

// BAD-INPUTS 54 and 55: an SD blob that fails gets no receipt.
func TestBadSDBlob(t *testing.T) {
	store := newShelf(t)
	s := start(t, reflector.Options{Store: store})
	bad := map[string]string{
		"not JSON":       "this is a text",
		"cut":            `{"stream_hash":"x"`,
		"no stream_hash": `{"blobs":[]}`,
		"empty":          `{"stream_hash":""}`,
		"brackets":       strings.Repeat("[", blob.MaxSize),
		"bad hash":       `{"stream_hash":"x","blobs":[{"blob_hash":"../x"}]}`,
		"numbers":        `{"stream_hash":"x","blobs":[` + strings.Repeat("0,", 1_000_000) + `0]}`,
		"random":         string(content(9, blob.MaxSize)),
	}
	for name, text := range bad {
		t.Run(name, func(t *testing.T) {
			c := s.greet()
			c.say(offerSD([]byte(text)))
			c.hear(`{"send_sd_blob":true}`)
			c.say(text)
			c.gone()
			store.lacks(t, blob.Sum([]byte(text)))
		})
	}
	t.Run("other bytes", func(t *testing.T) {
		sd := descriptor()
		c := s.greet()
		c.say(offerSD(sd))
		c.hear(`{"send_sd_blob":true}`)
		c.say(strings.ToUpper(string(sd)))
		c.gone()
		store.lacks(t, blob.Sum(sd))
	})
	if n := store.puts.Load(); n != 0 {
		t.Errorf("%d were given to the store", n)
	}
}

// BAD-INPUTS 55: what parses and has a stream_hash is taken, and what its stream lacks is worked out.
func TestOddSDBlob(t *testing.T) {
	store := newShelf(t)
	s := start(t, reflector.Options{Store: store})
	a, b := content(1, 10), content(2, 10)
	entry := func(data []byte, rest string) string {
		return `{"blob_hash":"` + blob.Sum(data).String() + `"` + rest + `}`
	}
	for name, c := range map[string]struct{ sd, needed string }{
		"no blobs":         {`{"stream_hash":"x"}`, ""},
		"as many as fit":   {`{"stream_hash":"x","blobs":[` + strings.Repeat("{},", (blob.MaxSize-300)/3) + entry(a, "") + `]}`, hashes(a)},
		"repeats one":      {`{"stream_hash":"x","blobs":[` + strings.Repeat(entry(b, "")+",", 10_000) + entry(a, "") + `]}`, hashes(b, a)},
		"negative length":  {`{"stream_hash":"x","blobs":[` + entry(a, `,"length":-1`) + `]}`, hashes(a)},
		"one number twice": {`{"stream_hash":"x","blobs":[` + entry(b, `,"blob_num":0`) + "," + entry(a, `,"blob_num":0`) + `]}`, hashes(b, a)},
	} {
		t.Run(name, func(t *testing.T) {
			talk := s.greet()
			talk.say(offerSD([]byte(c.sd)), c.sd)
			talk.hear(`{"send_sd_blob":true}`, `{"received_sd_blob":true}`)
			store.holds(t, []byte(c.sd), blob.KindSD)
			talk.say(offerSD([]byte(c.sd)))
			if c.needed == "" {
				talk.hear(`{"send_sd_blob":false}`)
			} else {
				talk.hear(`{"send_sd_blob":false,"needed_blobs":` + c.needed + `}`)
			}
		})
	}
}

// As many blobs as an SD blob can list are all asked for, in an answer that clients can read.
func TestManyNeeded(t *testing.T) {
	store := newShelf(t)
	s := start(t, reflector.Options{Store: store})
	var list []string
	for i := range 18_000 {
		list = append(list, blob.Sum(fmt.Append(nil, i)).String())
	}
	sd := []byte(`{"stream_hash":"x","blobs":[{"blob_hash":"` + strings.Join(list, `"},{"blob_hash":"`) + `"}]}`)
	c := s.greet()
	c.say(offerSD(sd), string(sd))
	c.hear(`{"send_sd_blob":true}`, `{"received_sd_blob":true}`)
	c.say(offerSD(sd))
	c.hear(`{"send_sd_blob":false,"needed_blobs":["` + strings.Join(list, `","`) + `"]}`)
	result, err := s.client().Upload(t.Context(), verified(t, sd), blob.KindSD)
	if err != nil || result.Sent || len(result.Needed) != len(list) {
		t.Errorf("a client learns of %d, %v", len(result.Needed), err)
	}
}

// BAD-INPUTS 58: a connection that says nothing more is closed after its time, not before, and that is no error.
func TestIdle(t *testing.T) {
	const patience = time.Second
	s := start(t, reflector.Options{Store: newShelf(t), MessageTimeout: patience})
	begin := time.Now()
	c := s.greet()
	d := s.dial()
	c.gone()
	if took := time.Since(begin); took < patience {
		t.Errorf("closed after %v", took)
	}
	d.gone()
	if n := s.Stats().Errors["io_timeout"]; n != 0 {
		t.Errorf("%d timeouts counted", n)
	}
	c = s.greet()
	c.say(`{"blob_hash`)
	c.gone()
	until(t, "the cut message to be counted", func() bool { return s.Stats().Errors["io_timeout"] == 1 })
}

func TestIPv6(t *testing.T) {
	store := newShelf(t)
	ln, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	s := startOn(t, reflector.Options{Store: store}, ln)
	data := content(1, 100)
	if r, err := s.client().Upload(context.Background(), verified(t, data), blob.KindContent); err != nil || !r.Sent {
		t.Errorf("%+v, %v", r, err)
	}
	store.holds(t, data, blob.KindContent)
}

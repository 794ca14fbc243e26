package lists_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/lists"
	"github.com/OdyseeTeam/prism/lists/liststest"
)

// badAnswers are what a server of lists may say instead of a list.
var badAnswers = map[string]http.HandlerFunc{
	"500": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "sorry", http.StatusInternalServerError) },
	"404": http.NotFound,
	"204": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
	"HTML": func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "<!DOCTYPE html><html>down</html>")
	},
	"nothing": func(http.ResponseWriter, *http.Request) {
	},
	"no success": func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"success":false,"error":"rate limit","data":null}`)
	},
	"half a list": func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"success":true,"data":[{"sd_hash":"`+hash("other").String()+`"},{"sd_`)
	},
	"cut": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"success":true,"data":[]}`)
	},
	"no connection": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	"redirect to plain http": func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+r.Host+"/", http.StatusFound)
	},
	"redirects without end": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) },
	"a gigabyte": func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"success":true,"data":[`)
		piece := bytes.Repeat([]byte(`{"sd_hash":"x"},`), 1<<12)
		for range 1 << 30 / len(piece) {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	},
}

// Whatever the server says: the last good state stays, the failure is counted and logged, and the next list is taken.
func TestBadAnswers(t *testing.T) {
	for name, answer := range badAnswers {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			leaktest.FDs(t)
			b := newBed(t)
			b.api.Protect(hash("one"))
			p := b.protected()
			b.await("the first list", func() bool { return p.Contains(hash("one")) })
			b.api.Handle(answer)
			failures := p.Stats().Failures
			more := uint64(2)
			if name == "a gigabyte" { // which takes a while to refuse
				more = 1
			}
			b.await("failures", func() bool { return p.Stats().Failures >= failures+more })
			st := p.Stats()
			if !p.Contains(hash("one")) || p.Contains(hash("other")) || st.Entries != 1 || st.LastError == "" || !st.Known {
				t.Errorf("after it: %+v", st)
			}
			if !b.log.has("cannot be refreshed; the last good one stays") {
				t.Errorf("it is not in the log:\n%s", b.log.text())
			}
			b.api.Protect(hash("two"))
			b.await("the next list", func() bool { return p.Contains(hash("two")) && !p.Contains(hash("one")) && p.Stats().LastError == "" })
		})
	}
}

// A server that sends a byte now and then is given up.
func TestSlowAnswer(t *testing.T) {
	leaktest.Check(t)
	b := newBed(t)
	b.api.Handle(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"success":true,"data":[`)
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, " ")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(5 * time.Millisecond)
		}
	})
	p := b.protected(func(o *lists.ProtectedOptions) { o.Timeout = 100 * time.Millisecond })
	b.await("a failure", func() bool { return p.Stats().Failures > 0 })
	if st := p.Stats(); st.Known || !strings.Contains(st.LastError, "deadline exceeded") {
		t.Errorf("%+v", st)
	}
}

// A certificate that nobody trusts is a failure, and so is a server that is not there.
func TestBadServers(t *testing.T) {
	leaktest.Check(t)
	b := newBed(t)
	b.api.Protect(hash("one"))
	p := b.protected(func(o *lists.ProtectedOptions) { o.RootCAs = nil })
	b.await("a failure", func() bool { return p.Stats().Failures > 0 })
	if st := p.Stats(); st.Known || p.Contains(hash("one")) || !strings.Contains(st.LastError, "certificate") {
		t.Errorf("with a certificate that nobody trusts: %+v", st)
	}
	b.api.Close()
	p = b.protected()
	b.await("a failure", func() bool { return p.Stats().Failures > 0 })
	if st := p.Stats(); !strings.Contains(st.LastError, "connection refused") {
		t.Errorf("with no server: %+v", st)
	}
}

// Close ends what hangs.
func TestCloseEndsARefresh(t *testing.T) {
	leaktest.Check(t)
	b := newBed(t)
	hung := make(chan struct{}, 100)
	b.api.Handle(func(_ http.ResponseWriter, r *http.Request) { hung <- struct{}{}; <-r.Context().Done() })
	p := b.protected()
	<-hung
	p.Close()
	p.Close()

	out := b.claim(liststest.Unsigned(hash("one")))
	b.api.Block(out)
	b.hub.Misbehave(hangs)
	l := b.blocklist()
	b.await("a question", func() bool { return len(b.hub.Asked()) > 0 })
	l.Close()
	if st := l.Stats(); st.Refreshes != 0 {
		t.Errorf("a refresh that was ended counts: %+v", st)
	}
}

// on_failure: what decides without a list, and with one that is too old.
func TestOnFailure(t *testing.T) {
	leaktest.Check(t)
	other := hash("other")
	for _, closed := range []bool{false, true} {
		b := newBed(t)
		b.api.Answer(http.StatusInternalServerError, "")
		with := func(maxAge time.Duration) func(*lists.ProtectedOptions) {
			return func(o *lists.ProtectedOptions) { o.Closed, o.MaxAge = closed, maxAge }
		}
		p := b.protected(with(time.Hour))
		if got := p.Contains(other); got != closed {
			t.Errorf("closed %v, before the first answer: %v", closed, got)
		}
		b.more(p, 2)
		if got := p.Contains(other); got != closed {
			t.Errorf("closed %v, never good: %v", closed, got)
		}
		b.api.Protect(hash("one"))
		b.await("the list", func() bool { return p.Stats().Known })
		if p.Contains(other) || !p.Contains(hash("one")) {
			t.Errorf("closed %v: the list does not decide", closed)
		}
		p.Close()
		// A restart with the server down: the state on disk is young enough, or too old.
		b.api.Answer(http.StatusInternalServerError, "")
		p = b.protected(with(time.Hour))
		b.more(p, 1)
		if p.Contains(other) || !p.Contains(hash("one")) {
			t.Errorf("closed %v: a young state does not decide", closed)
		}
		p.Close()
		p = b.protected(with(50 * time.Millisecond))
		b.await("the state to become too old", func() bool { return p.Contains(other) == closed })
		if !p.Contains(hash("one")) {
			t.Errorf("closed %v: what is listed is not protected any more", closed)
		}
		b.more(p, 2)
		if got := p.Contains(other); got != closed {
			t.Errorf("closed %v, too old: %v", closed, got)
		}
		p.Close()
	}
}

// The last good state is there after a restart, without a server or a hub.
func TestRestart(t *testing.T) {
	leaktest.Check(t)
	b := newBed(t)
	b.api.Block(b.claim(liststest.Unsigned(hash("one"))), b.claim(liststest.Channel()))
	l := b.blocklist()
	b.await("the list", func() bool { return l.Stats().Known })
	l.Close()
	asked := len(b.hub.Asked())
	b.api.Answer(http.StatusBadGateway, "")
	b.hub.Close()
	l = b.blocklist()
	if st := l.Stats(); !l.Contains(hash("one")) || st.Entries != 1 || !st.Known {
		t.Errorf("after a restart: %+v", st)
	}
	b.more(l, 2)
	if st := l.Stats(); !l.Contains(hash("one")) || st.Entries != 1 {
		t.Errorf("after failures: %+v", st)
	}
	l.Close()
	if n := len(b.hub.Asked()); n != asked {
		t.Errorf("the hub was asked %d times more", n-asked)
	}
	// Of another list it is no state.
	l = b.blocklist(func(o *lists.BlocklistOptions) { o.URL += "/other" })
	if st := l.Stats(); l.Contains(hash("one")) || st.Known || !b.log.has("the state of the block list is not used") {
		t.Errorf("with another URL: %+v\n%s", st, b.log.text())
	}
}

// A damaged state is not used, whatever the damage, and a new one takes its place.
func TestDamagedState(t *testing.T) {
	leaktest.Check(t)
	b := newBed(t)
	b.api.Protect(hash("one"), hash("two"))
	p := b.protected()
	b.await("the list", func() bool { return p.Stats().Known })
	p.Close()
	file := filepath.Join(b.dir, "protected")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b.api.Answer(http.StatusInternalServerError, "")
	open := func(what string, text []byte) {
		t.Helper()
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		p := b.protected()
		st := p.Stats()
		p.Close()
		if st.Known || st.Entries != 0 || p.Contains(hash("one")) {
			t.Errorf("%s: %+v", what, st)
		}
	}
	for i := range good {
		open("cut", good[:i])
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		open("a bit changed", bad)
	}
	open("longer", append(bytes.Clone(good), 0))
	open("zeros", make([]byte, len(good)))
	if !b.log.has("the state of the protected list is not used") {
		t.Error("it is not in the log")
	}
	b.api.Protect(hash("one"), hash("two"))
	p = b.protected()
	b.await("the list", func() bool { return p.Contains(hash("two")) })
	p.Close()
	b.api.Answer(http.StatusInternalServerError, "")
	if p = b.protected(); !p.Contains(hash("one")) {
		t.Error("the new state is not on disk")
	}
}

// A folder that cannot be written costs the state after a restart, and is said once.
func TestUnwritableFolder(t *testing.T) {
	leaktest.Check(t)
	b := newBed(t)
	b.dir = filepath.Join(b.dir, "missing", "folder")
	out := b.claim(liststest.Unsigned(hash("one")))
	b.api.Block(out)
	l := b.blocklist()
	b.await("the list", func() bool { return l.Contains(hash("one")) })
	st := b.more(l, 3)
	if !st.Known || st.LastError != "" {
		t.Errorf("%+v", st)
	}
	if n := strings.Count(b.log.text(), "cannot be written"); n != 1 || !b.log.has("lists.state_dir") {
		t.Errorf("it is in the log %d times\n%s", n, b.log.text())
	}
	if n := len(b.hub.Asked()); n != 1 {
		t.Errorf("the hub was asked %d times", n)
	}
	b.api.Protect(hash("two"))
	p := b.protected()
	b.await("the list", func() bool { return p.Contains(hash("two")) })
}

func TestOptions(t *testing.T) {
	f := func(want string, change func(*lists.ProtectedOptions)) {
		t.Helper()
		o := lists.ProtectedOptions{Options: lists.Options{Dir: t.TempDir(), URL: "https://127.0.0.1:1/"}}
		change(&o)
		if p, err := lists.OpenProtected(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, %v, want %s", p, err, want)
		}
	}
	f("needs a folder", func(o *lists.ProtectedOptions) { o.Dir = "" })
	f("not an address", func(o *lists.ProtectedOptions) { o.URL = "ftp://secret@x/" })
	f("not an address", func(o *lists.ProtectedOptions) { o.URL = "https://" })
	f("interval is -1s", func(o *lists.ProtectedOptions) { o.Interval = -time.Second })
	f("at least the interval", func(o *lists.ProtectedOptions) { o.Interval = 2 * time.Hour })
	for _, bad := range []string{"", "host", ":5", "host:", "http://host"} {
		_, err := lists.OpenBlocklist(lists.BlocklistOptions{Options: lists.Options{Dir: t.TempDir(), URL: "https://127.0.0.1:1/"}, Hubs: []string{bad}})
		if err == nil || !strings.Contains(err.Error(), "HOST:PORT") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

package admin_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/admin"
	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/leaktest"
	"github.com/OdyseeTeam/prism/stores/disk"
)

func (b *bed) dial() net.Conn {
	b.t.Helper()
	conn, err := net.Dial("unix", b.socket)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		b.t.Fatal(err)
	}
	return conn
}

// TestRequestsThatCannotBe: each has its status, and a line for a person.
func TestRequestsThatCannotBe(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	b := serve(t, disk.Options{}, admin.Options{})
	h := b.put(1, 1000)
	var run string
	if info, err := b.client.Info(t.Context()); err != nil || len(info.Mounts) != 1 || info.PID != os.Getpid() {
		t.Fatal(info, err)
	} else {
		run = info.Run
	}
	for _, c := range []struct {
		method, target, body string
		status               int
		want                 string
	}{
		{"GET", "/", "", 404, ""},
		{"GET", "/metrics", "", 404, ""},
		{"DELETE", "/mounts", "", 405, ""},
		{"GET", "/flush", "", 405, ""},
		{"POST", "/flush", "", 204, ""},
		{"GET", "/stat?mount=/nowhere", "", 404, "/nowhere is no mount of this program; there are: " + b.dir},
		{"GET", "/view?mount=%00", "", 404, "is no mount"},
		{"GET", "/stat?mount=" + b.dir + "/../" + "mount/", "", 200, `"Blobs": 1`},
		{"GET", "/stat?%zz", "", 200, `"Blobs": 1`},
		{"POST", "/hold", "", 400, "not as it should be"},
		{"POST", "/hold", "[]", 400, "not as it should be"},
		{"POST", "/hold", `{"Segments":[-1]}`, 400, "not as it should be"},
		{"POST", "/hold", `{}`, 409, "was started again"},
		{"POST", "/hold", `{"Run":"` + run + `","Places":[{"Hash":"../x"}]}`, 400, "question 0: "},
		{"POST", "/hold", `{"Run":"` + run + `","Segments":[` + strings.Repeat("1,", check.MaxPlaces) + "1]}", 400, "1001 questions at once"},
		{"POST", "/hold", `{"Run":"` + strings.Repeat("x", 1<<20) + `"}`, 400, "not as it should be"},
		{"POST", "/hold", fmt.Sprintf(`{"Run":%q,"Places":[{"Hash":"%s","Segment":1},{"Hash":"%s","Segment":9}],"Segments":[1,7]}`, run, h, h), 200, "true"},
	} {
		if got := b.ask(c.method, c.target, c.body, c.status); !strings.Contains(got, c.want) {
			t.Errorf("%s %s: %s, want %s", c.method, c.target, got, c.want)
		}
	}
	for _, junk := range []string{"\x00\x01\x02\x03\r\n\r\n", "SSH-2.0-x\r\n\r\n", strings.Repeat("A", 1<<20), "GET / HTTP/9.9\r\n\r\n"} {
		conn := b.dial()
		_, _ = io.WriteString(conn, junk) // it may be cut midway
		answer, _ := io.ReadAll(conn)
		if !bytes.HasPrefix(answer, []byte("HTTP/1.1 4")) && !bytes.HasPrefix(answer, []byte("HTTP/1.1 5")) && len(answer) > 0 {
			t.Errorf("%.20q: %.100q", junk, answer)
		}
	}
	if r := b.check(check.Options{}); !r.Clean() || r.Blobs != 1 {
		t.Error(r)
	}
}

// TestShardedMounts have figures, and nothing to check.
func TestShardedMounts(t *testing.T) {
	leaktest.Check(t)
	segs := openStore(t, disk.Options{Name: "b"})
	b := serve(t, disk.Options{Name: "a", Mode: disk.ModeSharded}, admin.Options{Stores: []*disk.Store{segs}})
	b.put(1, 1000)
	if got := b.ask("GET", "/stat", "", 400); !strings.Contains(got, "say which mount") || !strings.Contains(got, b.dir) || !strings.Contains(got, segs.Dir()) {
		t.Error(got)
	}
	if _, err := b.client.Find(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "serves 2 mounts") {
		t.Error(err)
	}
	b.ask("GET", "/stat?mount="+b.dir, "", 200)
	if got := b.ask("GET", "/view?mount="+b.dir, "", 409); !strings.Contains(got, "only segments are checked") {
		t.Error(got)
	}
	if _, err := os.Lstat(b.dir + "/admin"); !os.IsNotExist(err) {
		t.Errorf("a note among the blobs: %v", err)
	}
	b.ask("GET", "/view?mount="+segs.Dir(), "", 200)
}

// TestIdleConnections opens a thousand that say nothing: those that are too many are told, the others end by themselves,
// and then there is room again.
func TestIdleConnections(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	b := serve(t, disk.Options{}, admin.Options{MaxConnections: 8, Patience: time.Second})
	told := 0
	for range 1000 {
		answer := make([]byte, 12)
		if n, _ := io.ReadFull(delayed{b.dial()}, answer); string(answer[:n]) == "HTTP/1.1 503" {
			told++
		}
	}
	if told < 500 { // some may come in when others have been cut
		t.Errorf("%d of 1000 were turned away", told)
	}
	waitFor(t, "room", func() bool {
		_, err := b.client.Info(t.Context())
		return err == nil
	})
}

// delayed reads what comes within a moment.
type delayed struct{ net.Conn }

func (d delayed) Read(p []byte) (int, error) {
	_ = d.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	return d.Conn.Read(p)
}

func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// TestClientThatStopsReading is cut, and holds no view.
func TestClientThatStopsReading(t *testing.T) {
	leaktest.Check(t)
	leaktest.FDs(t)
	b := serve(t, disk.Options{}, admin.Options{Patience: 200 * time.Millisecond})
	for i := range 8000 {
		b.put(uint64(i), 10)
	}
	var conns []net.Conn
	for range 4 {
		conn := b.dial()
		if err := conn.(*net.UnixConn).SetReadBuffer(4096); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "GET /view HTTP/1.1\r\nHost: prism\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err != nil { // it has begun
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	waitFor(t, "the end of the views", func() bool {
		served, err := b.client.Find(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		v, err := served.View(t.Context())
		if err != nil {
			if !strings.Contains(err.Error(), "4 checks read the index already") {
				t.Fatal(err)
			}
			return false
		}
		return v.Close() == nil
	})
	for _, conn := range conns {
		_, _ = io.Copy(io.Discard, conn) // to its end: it was cut
	}
}

// TestStopAmidst stops the server while views are read and questions asked: it ends, and no view looks whole that is not.
func TestStopAmidst(t *testing.T) {
	leaktest.Check(t)
	b := serve(t, disk.Options{}, admin.Options{})
	for i := range 8000 {
		b.put(uint64(i), 10)
	}
	served, err := b.client.Find(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	v, err := served.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.stop()
	if _, _, err = v.Rows.Meta(); err == nil {
		_, err = v.Rows.Segments()
	}
	if err == nil {
		err = v.Rows.All(func(_ blob.Hash, _ index.Entry) error { return nil })
	}
	if err == nil {
		err = v.Rows.Order(func(index.OrderRow) error { return nil })
	}
	if err == nil {
		t.Error("a view that was cut looks whole")
	}
	_ = v.Close()
	if _, err := check.Online(t.Context(), diskfs.OS(), b.dir, served, check.Options{}); !errors.Is(err, admin.ErrNobody) {
		t.Errorf("after the end: %v", err)
	}
	if _, err := os.Lstat(b.dir + "/admin"); !os.IsNotExist(err) {
		t.Errorf("the note stays: %v", err)
	}
}

// TestAnotherRun: answers of a program that was started since say nothing about an older view.
func TestAnotherRun(t *testing.T) {
	leaktest.Check(t)
	b := serve(t, disk.Options{}, admin.Options{})
	h := b.put(1, 10)
	old, err := b.client.Find(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	b.stop()
	socket := b.socket
	b.start(admin.Options{Stores: []*disk.Store{b.store}})
	if err := os.Rename(b.socket, socket); err != nil {
		t.Fatal(err)
	}
	_, err = old.Hold(t.Context(), []check.Place{{Hash: h, Segment: 1}})
	if err == nil || !strings.Contains(err.Error(), "started again") {
		t.Error(err)
	}
	if _, err := old.View(t.Context()); err == nil || !strings.Contains(err.Error(), "started again") {
		t.Error(err)
	}
}

// TestClosedStore: the engine is closed under the server, as a drain that lasts too long does it.
func TestClosedStore(t *testing.T) {
	leaktest.Check(t)
	b := serve(t, disk.Options{}, admin.Options{})
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/view", "/stat"} {
		want := http.StatusServiceUnavailable
		if target == "/stat" {
			want = http.StatusOK // the last figures
		}
		b.ask("GET", target, "", want)
	}
	b.ask("POST", "/flush", "", http.StatusServiceUnavailable)
}

// TestOthersAreTurnedAway asks as another user, through a socket whose mode was opened by mistake.
func TestOthersAreTurnedAway(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	b := serve(t, disk.Options{}, admin.Options{})
	for dir := b.socket; dir != os.TempDir() && len(dir) > 1; dir = dir[:strings.LastIndexByte(dir, '/')] {
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for uid, want := range map[int]string{65534: "HTTP/1.1 403", 0: "HTTP/1.1 200"} {
		conn := dialAs(t, b.socket, uid)
		if _, err := io.WriteString(conn, "GET /mounts HTTP/1.1\r\nHost: prism\r\n\r\n"); err != nil && uid == 0 {
			t.Fatal(err)
		}
		answer := make([]byte, len(want))
		if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != want {
			t.Errorf("user %d: %q, %v", uid, answer, err)
		}
		_ = conn.Close()
	}
}

// dialAs connects as another user: to the kernel, who connects is the thread.
func dialAs(t *testing.T, path string, uid int) net.Conn {
	t.Helper()
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // and it ends with the goroutine
		keep := ^uintptr(0)
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, keep, uintptr(uid), keep); errno != 0 {
			done <- result{err: errno}
			return
		}
		fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err == nil {
			err = syscall.Connect(fd, &syscall.SockaddrUnix{Name: path})
		}
		if err != nil {
			done <- result{err: err}
			return
		}
		f := os.NewFile(uintptr(fd), path)
		conn, err := net.FileConn(f)
		done <- result{conn, errors.Join(err, f.Close())}
	}()
	r := <-done
	if r.err != nil {
		t.Fatal(r.err)
	}
	if err := r.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return r.conn
}

package process

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

func reserve(t *testing.T, numbers ...int) *Ports {
	t.Helper()
	p, err := ReservePorts(numbers...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func TestReservePorts(t *testing.T) {
	n := reserve(t, 0, 7, 0).Numbers
	if n[1] != 7 || n[0] == n[2] {
		t.Errorf("ports %v, want two free ones beside 7", n)
	}
	for _, port := range []int{n[0], n[2]} {
		if err := isFree(port); err != nil {
			t.Error(err)
		}
		if port < firstPort || port > lastPort {
			t.Errorf("port %d, want one that is given to nobody who asks for any", port)
		}
	}
}

// A port is reserved for one only, in this process and in another one, until it is given back.
func TestReserved(t *testing.T) {
	const key = "PRISM_TEST_PORT"
	if port := os.Getenv(key); port != "" { // the other process
		n, err := strconv.Atoi(port)
		if err != nil {
			t.Fatal(err)
		}
		if err := new(Ports).reserve(n); err == nil {
			t.Error("the port of another process is given")
		}
		return
	}
	p, other := reserve(t, 0), new(Ports)
	defer other.Close()
	port := p.Numbers[0]
	if other.reserve(port) == nil {
		t.Error("a port is given twice")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestReserved$", "-test.v")
	cmd.Env = append(os.Environ(), key+"="+strconv.Itoa(port))
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestReserved") {
		t.Errorf("%v\n%s", err, out)
	}
	p.Close()
	l, err := lock(port)
	if err != nil {
		t.Fatalf("it is not given back: %v", err)
	}
	l.Close()
}

// A port that somebody has, over TCP or UDP, is not given, and nothing is left of the attempt.
func TestTaken(t *testing.T) {
	n := reserve(t, 0, 0).Numbers
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", n[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	u, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", n[1]))
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	for i, what := range []string{"tcp", "udp"} {
		if err := isFree(n[i]); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("listen %s 127.0.0.1:%d", what, n[i])) {
			t.Errorf("%s: %v, want an error that says who has it", what, err)
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0") // of no number that is given
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port, p := taken.Addr().(*net.TCPAddr).Port, new(Ports)
	if err := p.reserve(port); err == nil || len(p.locks) != 0 {
		t.Errorf("a port that somebody has is reserved: %v", err)
	}
	left, err := lock(port)
	if err != nil {
		t.Fatalf("its lock stays: %v", err)
	}
	left.Close()
}

// A number that is given is nobody else's either.
func TestReservedByNumber(t *testing.T) {
	free := reserve(t, 0)
	port := free.Numbers[0]
	free.Close()
	p, other := reserve(t, port), new(Ports)
	if other.reserve(port) == nil {
		t.Error("it is given to another one")
	}
	if got := reserve(t, port).Numbers; got[0] != port { // who starts two programs on one port learns it from the second
		t.Errorf("port %v, want %d", got, port)
	}
	p.Close()
	if err := other.reserve(port); err != nil {
		t.Errorf("it is not given back: %v", err)
	}
	other.Close()
}

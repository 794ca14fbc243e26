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
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	for what, port := range map[string]int{"tcp": l.Addr().(*net.TCPAddr).Port, "udp": u.LocalAddr().(*net.UDPAddr).Port} {
		p := new(Ports)
		if err := p.reserve(port); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("listen %s 127.0.0.1:%d", what, port)) {
			t.Errorf("%s: %v, want an error that says who has it", what, err)
		}
		if len(p.locks) != 0 {
			t.Errorf("%s: it is reserved", what)
		}
		left, err := lock(port)
		if err != nil {
			t.Errorf("%s: its lock stays: %v", what, err)
			continue
		}
		left.Close()
	}
}

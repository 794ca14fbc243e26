package frontendtest

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/mem"
)

// Verdict is what an answer says about a blob.
type Verdict int

// What there is to say.
const (
	Found     Verdict = iota // it is there, and these are its bytes
	Missing                  // it is not there
	Protected                // it is there, and not for this client
	Refused                  // this is not the name of a blob
	Failed                   // the server cannot tell, or has cut the answer or the connection
)

func (v Verdict) String() string {
	return [...]string{"found", "missing", "protected", "refused", "failed"}[v]
}

// Options are what the suite wants of a server; a Front turns them into its own.
type Options struct {
	Store stores.Store
	Gate  interface {
		Check(h blob.Hash, token string) error
	} // nil: every blob is open
	MinRate      int64 // bytes a second
	RateWindow   time.Duration
	DrainTimeout time.Duration
}

// Front is a frontend under test.
type Front struct {
	// Start makes a server that listens on a free port of this machine. serve serves until its context ends and then
	// drains.
	Start func(t *testing.T, o Options) (addr net.Addr, serve func(context.Context) error)
	// Ask asks for a blob by a name that may be no hash, over a connection of its own, and reads the whole answer. What
	// goes wrong with the connection is Failed.
	Ask func(ctx context.Context, addr net.Addr, name string) (Verdict, []byte)
	// Stall asks for a blob over a connection of its own and reads nothing. nil: the protocol has no bodies to read.
	Stall func(ctx context.Context, addr net.Addr, name string) (io.Closer, error)
	// NoBodies says that answers carry no bytes of blobs: an upload protocol asks whether they are wanted.
	NoBodies bool
	// NoGate says that the protocol knows no protected blobs.
	NoGate bool
	// HidesProtected says that protected blobs are answered as missing.
	HidesProtected bool
	// RefusesByMissing says that what is no name of a blob is answered as missing.
	RefusesByMissing bool
}

// OnTCP listens on a free port for a server over TCP, as Start wants it.
func OnTCP(t *testing.T, serve func(context.Context, net.Listener) error) (net.Addr, func(context.Context) error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln.Addr(), func(ctx context.Context) error { return serve(ctx, ln) }
}

// StallTCP sends a request over TCP and reads nothing.
func StallTCP(ctx context.Context, addr net.Addr, request string) (io.Closer, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr.String())
	if err == nil {
		_ = c.(*net.TCPConn).SetReadBuffer(4096)
		_, err = io.WriteString(c, request)
	}
	return c, err
}

// HTTPVerdict reads an answer of HTTP, of any version.
func HTTPVerdict(res *http.Response) (Verdict, []byte) {
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return Failed, nil
	}
	switch res.StatusCode {
	case http.StatusOK:
		return Found, body
	case http.StatusNotFound:
		return Missing, nil
	case http.StatusForbidden:
		return Protected, nil
	case http.StatusBadRequest:
		return Refused, nil
	}
	return Failed, nil
}

// store is a mem store with hooks.
type store struct {
	*mem.Store
	Hooks
}

func newStore() *store { return &store{Store: mem.New(mem.Options{Name: "suite"})} }

// Get implements stores.Store.
func (s *store) Get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	if err := s.Fetch(ctx, h); err != nil {
		return nil, err
	}
	return s.Store.Get(ctx, h)
}

// Has implements stores.Store.
func (s *store) Has(ctx context.Context, h blob.Hash) (bool, error) {
	if err := s.Look(ctx, h); err != nil {
		return false, err
	}
	return s.Store.Has(ctx, h)
}

// gate protects one blob from everybody.
type gate struct{ protected blob.Hash }

// Check is the gate's answer.
func (g gate) Check(h blob.Hash, _ string) error {
	if h == g.protected {
		return blob.ErrProtected
	}
	return nil
}

// running is a server that serves.
type running struct {
	*Serving
	t     *testing.T
	front Front
	addr  net.Addr
}

// start starts a server, which the test's end stops if the test has not.
func start(t *testing.T, f Front, o Options) *running {
	t.Helper()
	if o.DrainTimeout == 0 {
		o.DrainTimeout = patience
	}
	addr, serve := f.Start(t, o)
	return &running{Serving: Serve(t, serve, func() {}), t: t, front: f, addr: addr}
}

// ask asks once.
func (r *running) ask(name string) (Verdict, []byte) {
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	return r.front.Ask(ctx, r.addr, name)
}

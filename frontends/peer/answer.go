package peerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/protocol/peer"
)

// errUnread wraps what a handle could not read.
var errUnread = errors.New("peer: read blob")

// answer is one request and what is sent for it.
type answer struct {
	c    *session
	req  peer.Request
	slot bool // this answer has a slot
	out  sink
}

// respond answers a message, and says whether the connection is good for another one.
func (c *session) respond(message []byte) bool {
	req, err := peer.ParseRequest(message)
	if err != nil {
		c.s.count.errors.Count(err)
		return false
	}
	c.s.count.requests.Add(1)
	a := &answer{c: c, req: req}
	a.out.a = a
	defer a.releaseSlot()
	err = a.attempt()
	if errors.Is(err, errUnread) && !a.out.started {
		// What was pinned could not be read. The store knows by now, and may have the blob elsewhere.
		err = a.attempt()
	}
	c.cut = err != nil && a.out.started
	switch {
	case a.out.failed != nil:
		c.lost(req.Blob, a.out.failed)
		return false
	case err != nil:
		c.s.count.errors.Count(err)
		c.s.faults.Report(req.Blob, err)
		return false
	}
	return true
}

// lost counts an answer that the client did not take.
func (c *session) lost(h blob.Hash, err error) {
	c.s.count.errors.Count(err)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.s.count.slowReaders.Add(1)
	}
	if errors.Is(err, syscall.EFAULT) {
		c.s.faults.Report(h, fmt.Errorf("%w: %w", errUnread, err))
	}
}

// attempt looks up what was asked for and sends the answer. An error means that there is none, or that it must be cut.
func (a *answer) attempt() error {
	res := peer.Response{Rate: a.req.Rate}
	h, err := a.lookUp(&res)
	if err != nil {
		return err
	}
	if h != nil {
		defer h.Release()
		res.Incoming = &peer.Incoming{Hash: a.req.Blob, Length: h.Size()}
	}
	json := res.Append(a.c.json[:0])
	if cap(json) <= keptJSON {
		a.c.json = json
	}
	if h == nil {
		_, err := a.out.Write(json)
		return err
	}
	return a.send(json, h)
}

// lookUp asks the store, in a slot, which the answer keeps until its first bytes leave. It fills in what res says of
// available blobs and of one that is missing, and gives the handle of one that is there.
func (a *answer) lookUp(res *peer.Response) (blob.Handle, error) {
	s := a.c.s
	if len(a.req.Wanted) == 0 && !a.req.HasBlob {
		return nil, nil
	}
	if err := a.takeSlot(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(s.base, s.opt.LookupTimeout)
	defer cancel()
	wanted := a.open(a.req.Wanted)
	there := s.which(ctx, wanted, func(h blob.Hash) bool { return a.req.HasBlob && h == a.req.Blob })
	if !a.req.HasBlob {
		res.Available = chosen(wanted, there)
		return nil, nil
	}
	h, err := a.get(ctx)
	if errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrProtected) {
		s.count.errors.Count(err)
		res.Incoming = &peer.Incoming{Error: peer.NotFound}
		err = nil
	}
	for i := range wanted { // the store was asked for its bytes: that says more than Has
		if wanted[i] == a.req.Blob {
			there[i] = h != nil
		}
	}
	res.Available = chosen(wanted, there)
	return h, err
}

// get asks for the blob whose bytes are wanted.
func (a *answer) get(ctx context.Context) (blob.Handle, error) {
	if gate := a.c.s.opt.Gate; gate != nil {
		if err := gate.Check(a.req.Blob, ""); err != nil {
			return nil, err
		}
	}
	return a.c.s.opt.Store.Get(ctx, a.req.Blob)
}

// open are the hashes that the gate lets anybody see.
func (a *answer) open(hashes []blob.Hash) []blob.Hash {
	out := make([]blob.Hash, 0, len(hashes))
	for _, h := range hashes {
		if a.isOpen(h) {
			out = append(out, h)
		}
	}
	return out
}

func (a *answer) isOpen(h blob.Hash) bool {
	gate := a.c.s.opt.Gate
	return gate == nil || gate.Check(h, "") == nil
}

// send sends the JSON and the blob.
func (a *answer) send(json []byte, h blob.Handle) error {
	count := &a.c.s.count
	count.sending.Add(1)
	defer count.sending.Add(-1)
	a.out.head = json
	size := h.Size()
	var sent int64
	var err error
	if a.c.conn.IsTCP() {
		sent, err = h.SendTo(&a.out, 0, size)
	} else {
		sent, err = h.WriteTo(&a.out.body)
	}
	count.bytesOut.Add(uint64(sent))
	switch {
	case a.out.failed != nil:
		return a.out.failed
	case err != nil:
		return fmt.Errorf("%w: %w", errUnread, err)
	case sent != size:
		return fmt.Errorf("%w: %d bytes of %d", errUnread, sent, size)
	}
	count.downloads.Add(1)
	return nil
}

func (a *answer) takeSlot() error {
	if a.slot {
		return nil
	}
	if err := a.c.s.slots.Acquire(a.c.s.base); err != nil {
		return err
	}
	a.slot = true
	return nil
}

// releaseSlot gives the slot back, if there is one.
func (a *answer) releaseSlot() {
	if a.slot {
		a.slot = false
		a.c.s.slots.Release()
	}
}

// body is where the bytes of the answer go. The first of a blob bring the JSON along, so until there are some the answer
// can still become another one.
type body struct {
	a       *answer
	head    []byte // the JSON, until it has left
	started bool
	failed  error // of the connection
}

// Write passes p on, after the JSON.
func (b *body) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if !b.started {
		b.started = true
		b.a.releaseSlot()
		if err := b.begin(); err != nil {
			b.failed = err
			return 0, err
		}
	}
	n, err := b.a.c.conn.Write(p)
	if err != nil {
		b.failed = err
	}
	return n, err
}

// begin writes the JSON. On plain TCP the connection holds it back until the next write.
func (b *body) begin() error {
	if len(b.head) == 0 {
		return nil
	}
	c := b.a.c.conn
	if c.IsTCP() {
		c.Hold()
	}
	_, err := c.Write(b.head)
	return err
}

// sink is a body on plain TCP.
type sink struct{ body }

// KernelSink marks it as one.
func (*sink) KernelSink() {}

var _ blob.Sink = (*sink)(nil)

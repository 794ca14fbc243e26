package reflector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	wire "github.com/OdyseeTeam/prism/protocol/reflector"
)

// session is one connection. All of it belongs to its goroutine, but for what is said.
type session struct {
	s    *Server
	conn net.Conn
	in   *wire.Decoder
	buf  [1 << 10]byte // of reads of messages, which are short
	out  []byte

	waiting bool // for a message; under Server.mu
}

func newSession(s *Server, c net.Conn) *session {
	return &session{s: s, conn: c, in: wire.NewDecoder(wire.MaxMessage)}
}

// errEnd is how a session ends when nothing went wrong.
var errEnd = errors.New("reflector: the connection is over")

// run serves the connection to its end, and closes it.
func (x *session) run() {
	defer func() { _ = x.conn.Close() }()
	defer func() {
		if p := recover(); p != nil {
			x.s.count.panics.Add(1)
			x.s.opt.Logger.Error("reflector: panic", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	err := x.handshake()
	for err == nil {
		err = x.step()
	}
	if !errors.Is(err, errEnd) {
		x.s.count.errors.Count(err)
		x.s.opt.Logger.Debug("reflector: connection closed", "from", x.conn.RemoteAddr(), "error", err)
	}
}

func (x *session) handshake() error {
	o, err := x.message()
	if err != nil {
		return err
	}
	version, err := wire.ParseVersion(o)
	if err != nil {
		return err
	}
	x.out = wire.AppendVersion(x.out[:0], version)
	return x.answer()
}

// step serves one request.
func (x *session) step() error {
	o, err := x.message()
	if err != nil {
		return err
	}
	r, err := wire.ParseRequest(o)
	if err != nil {
		return err
	}
	offer, up, err := x.s.admit(r)
	if up != nil {
		defer up.end()
	}
	if err != nil {
		return err
	}
	x.out = wire.AppendOffer(x.out[:0], r.Kind, offer)
	if err := x.answer(); err != nil || up == nil {
		return err
	}
	return x.receive(r, up)
}

// receive takes a body, puts it into the store, and sends the receipt.
func (x *session) receive(r wire.Request, up *upload) error {
	v, err := x.body(r, up.buf)
	if errors.Is(err, blob.ErrCorrupt) {
		up.end()
		return x.refuse(r.Kind, err)
	}
	if err != nil {
		return err
	}
	if err := x.s.keep(v, r.Kind); err != nil {
		up.end()
		return x.refuse(r.Kind, err)
	}
	up.end() // a client that does not read holds neither the buffer nor others
	if r.Kind == blob.KindSD {
		x.s.count.sdBlobs.Add(1)
	} else {
		x.s.count.blobs.Add(1)
	}
	x.out = wire.AppendReceipt(x.out[:0], r.Kind, true)
	return x.answer()
}

// refuse ends the connection for err: with a receipt of false for a content blob, without any for an SD blob.
func (x *session) refuse(kind blob.Kind, err error) error {
	if kind == blob.KindSD {
		return err
	}
	x.out = wire.AppendReceipt(x.out[:0], kind, false)
	if e := x.answer(); e == nil {
		x.linger()
	}
	return err
}

// linger ends the answers and waits for the client to close. Closing with bytes unread would be a reset, which may
// overtake the last answer.
func (x *session) linger() {
	tcp, ok := x.conn.(*net.TCPConn)
	if !ok || tcp.CloseWrite() != nil || x.conn.SetReadDeadline(time.Now().Add(time.Second)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, x.conn, 2*blob.MaxSize)
}

// body reads a blob into buf and matches it with its name.
func (x *session) body(r wire.Request, buf []byte) (blob.Verified, error) {
	h := x.s.lanes.NewHasher(buf[:0:r.Size])
	defer func() { x.s.count.bytesIn.Add(uint64(h.Len())) }()
	if _, err := h.Write(x.in.TakeBytes(int(r.Size))); err != nil {
		return blob.Verified{}, err
	}
	before, late := h.Len(), true // late: the deadline is to be set
	for int64(h.Len()) < r.Size {
		if late {
			if err := x.conn.SetReadDeadline(time.Now().Add(x.s.opt.BodyWindow)); err != nil {
				return blob.Verified{}, err
			}
			before, late = h.Len(), false
		}
		_, err := h.ReadOnce(x.conn, bodyChunk)
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded) && h.Len()-before >= x.s.opt.minBytes():
			late = true
		case err == io.EOF:
			return blob.Verified{}, fmt.Errorf("reflector: body ends after %d of %d bytes: %w", h.Len(), r.Size, io.ErrUnexpectedEOF)
		default:
			return blob.Verified{}, fmt.Errorf("reflector: body, after %d of %d bytes: %w", h.Len(), r.Size, err)
		}
	}
	return h.Verified(r.Hash)
}

// bodyChunk bounds one read of a body: it is hashed while it is in the processor's cache, and not in more system calls
// than that takes.
const bodyChunk = 512 << 10

// message waits for the next object. errEnd: the client is done, or stays silent, or the server drains.
func (x *session) message() ([]byte, error) {
	if !x.wait() {
		return nil, errEnd
	}
	for {
		o, ok, err := x.in.Next()
		if ok {
			x.stopWaiting()
		}
		if ok || err != nil {
			return o, err
		}
		n, err := x.conn.Read(x.buf[:])
		_, _ = x.in.Write(x.buf[:n]) // never fails
		if n > 0 || err == nil {
			continue
		}
		pending := x.in.Pending() > 0
		switch {
		case !pending && (err == io.EOF || errors.Is(err, os.ErrDeadlineExceeded)), x.s.isDraining():
			return nil, errEnd
		case err == io.EOF:
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("reflector: read a message: %w", err)
	}
}

// wait begins a wait for a message, unless the server drains.
func (x *session) wait() bool {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	if x.s.draining || x.conn.SetReadDeadline(time.Now().Add(x.s.opt.MessageTimeout)) != nil {
		return false
	}
	x.waiting = true
	return true
}

func (x *session) stopWaiting() {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	x.waiting = false
}

func (s *Server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// answer writes what is in out. Only the list of what a stream lacks is longer than one piece.
func (x *session) answer() error {
	for rest := x.out; len(rest) > 0; {
		piece := rest[:min(len(rest), answerPiece)]
		if err := x.conn.SetWriteDeadline(time.Now().Add(x.s.opt.WriteTimeout)); err != nil {
			return err
		}
		if _, err := x.conn.Write(piece); err != nil {
			return fmt.Errorf("reflector: write an answer: %w", err)
		}
		rest = rest[len(piece):]
	}
	if cap(x.out) > answerPiece {
		x.out = nil
	}
	return nil
}

const answerPiece = 64 << 10

// keep puts a blob into the store. An SD blob must be one.
func (s *Server) keep(v blob.Verified, kind blob.Kind) error {
	if err := checkKind(v, kind); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.base, s.opt.PutTimeout)
	defer cancel()
	if err := s.opt.Store.Put(ctx, v, kind); err != nil {
		err = fmt.Errorf("reflector: put: %w", err)
		s.faults.Report(v.Hash(), err)
		return err
	}
	return nil
}

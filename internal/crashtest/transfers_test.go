package crashtest_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/OdyseeTeam/prism/blob"
	peerwire "github.com/OdyseeTeam/prism/protocol/peer"
	wire "github.com/OdyseeTeam/prism/protocol/reflector"
	"github.com/OdyseeTeam/prism/protocol/stream"
)

// pause is where clients stop amidst a transfer.
type pause struct {
	at         atomic.Int64 // how many have come to it
	move, over context.Context
	letGo      func() // lets those go on that do not stall
	release    func() // lets all go on
}

func newPause() *pause {
	p := &pause{}
	p.over, p.release = context.WithCancel(context.Background())
	p.move, p.letGo = context.WithCancel(p.over)
	return p
}

func (p *pause) wait(stall bool) {
	p.at.Add(1)
	if stall {
		<-p.over.Done()
	} else {
		<-p.move.Done()
	}
}

// await waits until n have come.
func (p *pause) await(t *testing.T, n int) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for p.at.Load() < int64(n) {
		if time.Now().After(deadline) {
			t.Fatalf("only %d of %d transfers are under way", p.at.Load(), n)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// transfer is what a client does: it stops in the middle, and goes on piece by piece.
type transfer struct {
	over  string // the protocol
	run   func(transfer, context.Context, *node) error
	blob  blob.Verified
	pause *pause // nil: it does not stop
	stall bool
}

func (x transfer) stop() {
	if x.pause != nil {
		x.pause.wait(x.stall)
	}
}

// errQuiet is a body that ends early as if that were all of it.
var errQuiet = errors.New("SILENTLY SHORT")

// pieces is in how many steps the second half of a transfer goes.
const pieces = 16

// read reads a body that is announced to have size bytes, and compares it with its name. Where a protocol marks the end
// of a body, quiet is an end before that; elsewhere it is a cut connection.
func (x transfer) read(body io.Reader, size int64, quiet error) error {
	if size != x.blob.Size() {
		return fmt.Errorf("%s: %w: %d bytes are announced, of %d", x.over, errWrong, size, x.blob.Size())
	}
	got := make([]byte, size)
	from := 0
	for i := range pieces + 1 {
		to := len(got)/2 + (len(got)-len(got)/2)*i/pieces
		for from < to {
			n, err := body.Read(got[from:to])
			if from += n; from == to {
				break
			}
			if err == io.EOF {
				err = quiet
			}
			if err != nil {
				return fmt.Errorf("%s: a body ends after %d of %d bytes: %w", x.over, from, size, err)
			}
		}
		if i == 0 {
			x.stop()
		} else {
			time.Sleep(10 * time.Millisecond) // it is a slow one
		}
	}
	if !bytes.Equal(got, x.blob.Bytes()) {
		return fmt.Errorf("%s: %w in a body of %d bytes", x.over, errWrong, size)
	}
	return nil
}

func (x transfer) http(ctx context.Context, n *node) error {
	d := net.Dialer{Control: smallWindow}
	t := &http.Transport{DialContext: d.DialContext, ReadBufferSize: 4 << 10}
	defer t.CloseIdleConnections()
	return x.roundTrip(ctx, t, n.url)
}

func (x transfer) http3(ctx context.Context, n *node) error {
	t := &http3.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // a blob proves itself
		QUICConfig: &quic.Config{ // windows that hold little of a blob
			InitialStreamReceiveWindow: 16 << 10, MaxStreamReceiveWindow: 64 << 10,
			InitialConnectionReceiveWindow: 16 << 10, MaxConnectionReceiveWindow: 64 << 10,
		},
	}
	err := x.roundTrip(ctx, t, "https://"+n.http3+"/blob?hash=")
	if e := t.Close(); err == nil {
		err = e
	}
	return err
}

func (x transfer) roundTrip(ctx context.Context, t http.RoundTripper, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+x.blob.Hash().String(), nil)
	if err != nil {
		return err
	}
	res, err := t.RoundTrip(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := announced(res); err != nil {
		return err
	}
	return x.read(res.Body, res.ContentLength, errQuiet)
}

func (x transfer) peer(ctx context.Context, n *node) error {
	conn, err := (&net.Dialer{Control: smallWindow}).DialContext(ctx, "tcp", n.peer)
	if err != nil {
		return err
	}
	defer conn.Close()
	ask := peerwire.Request{Blob: x.blob.Hash(), HasBlob: true}
	if _, err := conn.Write(ask.Append(nil)); err != nil {
		return err
	}
	var in peerwire.Messages
	for {
		message, err := in.Next()
		if err != nil {
			return err
		}
		if message == nil {
			n, err := conn.Read(in.Room())
			if in.Add(n); n == 0 && err != nil {
				return err
			}
			continue
		}
		r, err := peerwire.ParseResponse(message)
		if err != nil {
			return err
		}
		if r.Incoming == nil || r.Incoming.Error != "" {
			return fmt.Errorf("peer: %w: %s", errStatus, message)
		}
		size := r.Incoming.Length
		head := make([]byte, in.Held())
		head = head[:in.Take(head)]
		return x.read(io.MultiReader(bytes.NewReader(head), conn), size, io.ErrUnexpectedEOF)
	}
}

// upload sends the blob, and is nil when the receipt has come.
func (x transfer) upload(ctx context.Context, n *node) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", n.receiver)
	if err != nil {
		return err
	}
	defer conn.Close()
	in := wire.NewDecoder(wire.MaxAnswer)
	say := func(b []byte) ([]byte, error) {
		if _, err := conn.Write(b); err != nil {
			return nil, err
		}
		buf := make([]byte, 4<<10)
		for {
			if o, ok, err := in.Next(); ok || err != nil {
				return o, err
			}
			n, err := conn.Read(buf)
			if _, _ = in.Write(buf[:n]); n == 0 && err != nil {
				return nil, err
			}
		}
	}
	kind := stream.Sniff(x.blob.Bytes())
	if _, err := say(wire.AppendVersion(nil, 1)); err != nil {
		return err
	}
	o, err := say(wire.AppendRequest(nil, wire.Request{Kind: kind, Hash: x.blob.Hash(), Size: x.blob.Size()}))
	if err != nil {
		return err
	}
	if offer, err := wire.ParseOffer(o, kind); err != nil || !offer.Send {
		return fmt.Errorf("upload: a new blob is not wanted: %s, %w", o, err)
	}
	data := x.blob.Bytes()
	from := len(data) / 2
	if _, err := conn.Write(data[:from]); err != nil {
		return err
	}
	x.stop()
	rest := data[from:]
	for i := range pieces - 1 {
		if _, err := conn.Write(rest[len(rest)*i/pieces : len(rest)*(i+1)/pieces]); err != nil {
			return err
		}
		time.Sleep(10 * time.Millisecond) // it is a slow one
	}
	if o, err = say(rest[len(rest)*(pieces-1)/pieces:]); err != nil {
		return err
	}
	received, err := wire.ParseReceipt(o, kind)
	if err == nil && !received {
		err = fmt.Errorf("upload: %w: %s", errStatus, o)
	}
	return err
}

// Package reflectclient is a client of the TCP upload protocol: one connection over which blobs are offered, and sent
// when the server wants them. It serves the upload command, tools, and tests of the server; what to upload is theirs.
package reflectclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	wire "github.com/OdyseeTeam/prism/protocol/reflector"
)

// ErrNotReceived: the server took the bytes of a content blob and did not keep the blob. It closes the connection.
var ErrNotReceived = errors.New("the server did not keep the blob")

// Options are the patience of a client. Zero values mean the defaults.
type Options struct {
	DialTimeout    time.Duration // default 10 s
	AnswerTimeout  time.Duration // for the answer to the handshake and to an offer; default 180 s
	StallTimeout   time.Duration // for each 64 KiB of a body; default 60 s
	ReceiptTimeout time.Duration // default 60 s
}

func (o Options) withDefaults() Options {
	for _, v := range []struct {
		value *time.Duration
		other time.Duration
	}{
		{&o.DialTimeout, 10 * time.Second},
		{&o.AnswerTimeout, 180 * time.Second},
		{&o.StallTimeout, 60 * time.Second},
		{&o.ReceiptTimeout, 60 * time.Second},
	} {
		if *v.value <= 0 {
			*v.value = v.other
		}
	}
	return o
}

// Client is a connection on which the handshake was done. It is not safe for concurrent use. After an error of Upload it
// can only be closed.
type Client struct {
	opt  Options
	conn net.Conn
	in   *wire.Decoder
	buf  [4 << 10]byte
	out  []byte
}

// Result is what became of an offer.
type Result struct {
	// Sent: the server wanted the blob, got it, and says that it keeps it. Otherwise it has the blob already, or
	// refuses it: the protocol does not tell these apart.
	Sent bool
	// Needed is what the stream of an SD blob that was not wanted lacks at the server. None: it is complete, or refused.
	Needed []blob.Hash
}

// version is that of the SDK.
const version = 1

// Dial connects to a server ("host:port") and does the handshake. ctx bounds Dial alone. The caller closes the client.
func Dial(ctx context.Context, address string, o Options) (*Client, error) {
	o = o.withDefaults()
	conn, err := (&net.Dialer{Timeout: o.DialTimeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("reflectclient: %w", err)
	}
	c := &Client{opt: o, conn: conn, in: wire.NewDecoder(wire.MaxAnswer)}
	if err := c.during(ctx, c.handshake); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("reflectclient: handshake with %s: %w", address, err)
	}
	return c, nil
}

// Close closes the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Upload offers a blob and sends it if the server wants it. Errors: ErrNotReceived; ctx's; otherwise those of the
// connection and of protocol/reflector. A server that closes the connection in place of a receipt has kept nothing that
// it promises.
func (c *Client) Upload(ctx context.Context, v blob.Verified, kind blob.Kind) (Result, error) {
	var result Result
	err := c.during(ctx, func() error {
		var err error
		result, err = c.upload(v, kind)
		return err
	})
	if err != nil {
		return Result{}, fmt.Errorf("reflectclient: upload %s: %w", v.Hash().Short(), err)
	}
	return result, nil
}

// during runs f, whose reads and writes fail soon after ctx ends.
func (c *Client) during(ctx context.Context, f func() error) error {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.Close() })
	defer stop()
	err := f()
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (c *Client) handshake() error {
	c.out = wire.AppendVersion(c.out[:0], version)
	o, err := c.ask()
	if err != nil {
		return err
	}
	got, err := wire.ParseVersion(o)
	if err == nil && got != version {
		return wire.ErrVersion
	}
	return err
}

func (c *Client) upload(v blob.Verified, kind blob.Kind) (Result, error) {
	c.out = wire.AppendRequest(c.out[:0], wire.Request{Kind: kind, Hash: v.Hash(), Size: v.Size()})
	o, err := c.ask()
	if err != nil {
		return Result{}, err
	}
	offer, err := wire.ParseOffer(o, kind)
	if err != nil || !offer.Send {
		return Result{Needed: offer.Needed}, err
	}
	if err := c.write(v.Bytes()); err != nil {
		return Result{}, err
	}
	if o, err = c.read(c.opt.ReceiptTimeout); err != nil {
		return Result{}, err
	}
	received, err := wire.ParseReceipt(o, kind)
	if err == nil && !received {
		err = ErrNotReceived
	}
	return Result{Sent: received}, err
}

// ask sends what is in out and reads the answer.
func (c *Client) ask() ([]byte, error) {
	if err := c.write(c.out); err != nil {
		return nil, err
	}
	return c.read(c.opt.AnswerTimeout)
}

// write sends b. A server that takes it slowly is not given up.
func (c *Client) write(b []byte) error {
	const piece = 64 << 10
	for len(b) > 0 {
		if err := c.conn.SetWriteDeadline(time.Now().Add(c.opt.StallTimeout)); err != nil {
			return err
		}
		n, err := c.conn.Write(b[:min(len(b), piece)])
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// read reads the next object.
func (c *Client) read(patience time.Duration) ([]byte, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	for {
		o, ok, err := c.in.Next()
		if ok || err != nil {
			return o, err
		}
		n, err := c.conn.Read(c.buf[:])
		_, _ = c.in.Write(c.buf[:n]) // never fails
		if n == 0 && err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

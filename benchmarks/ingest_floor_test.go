package benchmarks

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	wire "github.com/OdyseeTeam/prism/protocol/reflector"
)

// bareWays are how a bare receiver may treat what comes: through the page cache or past it, unhashed or on lanes.
var bareWays = []string{"cached", "direct", "cached-hashed", "direct-hashed"}

// ingestBare is ingest into a server that does nothing but what every receiver of these blobs must: the most that this
// machine gives any.
func ingestBare(b *testing.B, blobs []blob.Verified, way string) (took time.Duration) {
	dir := newFolder(b)
	defer os.RemoveAll(dir)
	took, _ = ingest(b, blobs, "bare reflector", dir, way)
	return took
}

// serveBareUploads wants every blob, whatever it is, and ends with SIGTERM. A connection has a preallocated file, as a
// raw writer has. Its bytes go there, and are synced before the receipt.
func serveBareUploads(addr, dir, way string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = ln.Close() })
	lanes := blob.NewLanes()
	for i := 0; ; i++ {
		c, err := ln.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		name := filepath.Join(dir, strconv.Itoa(i))
		f, err := diskfs.OS().Create(name)
		if err != nil {
			return err
		}
		const most = 4 * ingestBlobs / ingestConns // which blob comes where is not known before
		if err := f.Preallocate(0, most*blob.MaxSize); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		x := &bareReceiver{conn: c, file: f, buf: diskfs.Aligned(blob.MaxSize)}
		if strings.HasSuffix(way, "hashed") {
			x.lanes = lanes
		}
		if strings.HasPrefix(way, "direct") {
			if x.direct, err = os.OpenFile(name, os.O_WRONLY|syscall.O_DIRECT, 0); err != nil {
				return err
			}
		}
		go func() {
			if err := x.run(); err != io.EOF {
				fmt.Fprintln(os.Stderr, err)
			}
		}()
	}
}

// bareReceiver is one connection.
type bareReceiver struct {
	conn   net.Conn
	file   diskfs.File
	direct *os.File    // nil: through the page cache
	lanes  *blob.Lanes // nil: unhashed
	buf    []byte
	at     int64
}

// run answers the connection until it ends. A message is one read, because this client waits for each answer.
func (x *bareReceiver) run() error {
	n, err := x.conn.Read(x.buf)
	if err != nil {
		return err
	}
	version, err := wire.ParseVersion(x.buf[:n])
	if err != nil {
		return err
	}
	for answer := wire.AppendVersion(nil, version); ; {
		if _, err := x.conn.Write(answer); err != nil {
			return err
		}
		if n, err = x.conn.Read(x.buf); err != nil {
			return err
		}
		r, err := wire.ParseRequest(x.buf[:n])
		if err != nil {
			return err
		}
		if _, err := x.conn.Write(wire.AppendOffer(nil, r.Kind, wire.Offer{Send: true})); err != nil {
			return err
		}
		if err := x.receive(r); err != nil {
			return err
		}
		answer = wire.AppendReceipt(answer[:0], r.Kind, true)
	}
}

// receive takes a full blob to the device. Through the page cache it writes while the bytes are in the processor's.
func (x *bareReceiver) receive(r wire.Request) error {
	h := x.lanes.NewHasher(x.buf[:0])
	for done := 0; done < int(r.Size); {
		var n int
		var err error
		if x.lanes != nil {
			n, err = h.ReadOnce(x.conn, barePiece)
		} else {
			n, err = x.conn.Read(x.buf[done:min(done+barePiece, int(r.Size))])
		}
		if err == nil && x.direct == nil {
			_, err = x.file.WriteAt(x.buf[done:done+n], x.at+int64(done))
		}
		if err != nil {
			return err
		}
		done += n
	}
	if x.lanes != nil {
		if _, err := h.Verified(r.Hash); err != nil {
			return err
		}
	}
	if x.direct != nil {
		if _, err := x.direct.WriteAt(x.buf[:r.Size], x.at); err != nil {
			return err
		}
	}
	x.at += r.Size
	return x.file.Sync()
}

const barePiece = 256 << 10

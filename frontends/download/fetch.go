// Package download gets the file of a stream: the SD blob from a server, then its content blobs, several at once. Each is
// compared with its name by the store that gets it, decrypted, and written in order.
//
// A file has its final name only once it is whole and on the disk; until then it stands beside, under a name made of
// the stream's. A download that was broken off leaves that, and the next one goes on from there after it has compared what
// stands in it with the names of the blobs. Memory is bounded by the number of blobs that are fetched at once.
package download

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/progress"
	"github.com/OdyseeTeam/prism/protocol/stream"
	"github.com/OdyseeTeam/prism/stores"
)

// Options say what to get, and where to.
type Options struct {
	Origin stores.Store    // where blobs come from; stays open
	SD     blob.Hash       // names the stream
	Output string          // a file, or a folder to which a file of the suggested name goes; empty: the working folder
	Force  bool            // replace a file that exists
	AtOnce int             // blobs fetched at once; default 8
	Meter  *progress.Meter // is told of each blob; nil: none

	// RetryAfter is the pause before a blob is asked for again, doubled each time; default 500 ms.
	RetryAfter time.Duration
}

// Result is what was got.
type Result struct {
	Path  string
	Size  int64 // bytes of the file
	Blobs int   // content blobs of the stream
	Kept  int   // of these, how many an earlier download had got
}

// tries is how often a blob is asked for when its server fails.
const tries = 4

// Fetch gets the file of a stream. On an error there is no file at Result.Path that was not there before. Errors:
// stream.ErrNotSD, stream.ErrContent, ErrExists, ErrInUse; those of the origin, with the blob that it is about; those of
// the file system.
func Fetch(ctx context.Context, o Options) (Result, error) {
	o.Meter = progress.OrSilent(o.Meter)
	o.AtOnce = stores.OrDefault(o.AtOnce, 8)
	o.RetryAfter = stores.OrDefault(o.RetryAfter, 500*time.Millisecond)
	buf := make([]byte, blob.MaxSize)
	d, err := readSD(ctx, &o, buf)
	if err != nil {
		return Result{}, err
	}
	target, err := targetOf(o.Output, d.SuggestedName, o.Force)
	if err != nil {
		return Result{}, err
	}
	p, err := openPart(target, o.SD)
	if err != nil {
		return Result{}, err
	}
	res := Result{Path: target, Blobs: len(d.Blobs)}
	if res.Kept, err = p.keep(d, buf); err == nil {
		err = o.write(ctx, p, d, res.Kept, buf)
	}
	if err == nil {
		res.Size, err = p.Seek(0, io.SeekCurrent)
	}
	if err != nil {
		if kept := p.leave(); kept != "" {
			err = fmt.Errorf("%w (what came so far is kept in %s; the same command goes on from there)", err, kept)
		}
		return Result{}, err
	}
	return res, errors.Join(p.finish(target, o.Force), p.Close())
}

// readSD gets and reads the SD blob.
func readSD(ctx context.Context, o *Options, buf []byte) (*stream.Descriptor, error) {
	h, err := o.Origin.Get(ctx, o.SD)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, fmt.Errorf("the server does not have the stream %s: %w", o.SD, err)
	}
	if err != nil {
		return nil, fmt.Errorf("get the SD blob %s: %w", o.SD.Short(), err)
	}
	defer h.Release()
	data := buf[:h.Size()]
	if err := readAll(h, data); err != nil {
		return nil, fmt.Errorf("get the SD blob %s: %w", o.SD.Short(), err)
	}
	d, err := stream.Read(data)
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", o.SD.Short(), err)
	}
	return d, nil
}

// readAll reads the whole blob; a handle may give the last byte with io.EOF.
func readAll(h blob.Handle, data []byte) error {
	n, err := h.ReadAt(data, 0)
	if n == len(data) {
		return nil
	}
	return err
}

// order is one content blob on its way.
type order struct {
	num    int
	done   chan struct{} // closed once one of the next two is there
	handle blob.Handle
	err    error
}

// write gets the content blobs from one on, and writes what they hold in order.
func (o *Options) write(ctx context.Context, p *part, d *stream.Descriptor, from int, buf []byte) error {
	o.Meter.Find(int64(len(d.Blobs) - from))
	o.Meter.Found()
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	orders := make(chan *order, o.AtOnce-1)
	all.Go(func() {
		defer close(orders)
		for i := from; i < len(d.Blobs) && ctx.Err() == nil; i++ {
			next := &order{num: i, done: make(chan struct{})}
			all.Go(func() {
				defer close(next.done)
				next.handle, next.err = o.get(ctx, d.Blobs[i].Hash)
			})
			orders <- next // always taken
		}
	})
	var err error
	for next := range orders {
		<-next.done
		if err == nil {
			if err = o.writeOne(p, d, next, buf); err != nil {
				cancel()
			}
		}
		if next.handle != nil {
			next.handle.Release()
		}
	}
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// writeOne decrypts a blob that has come and appends it.
func (o *Options) writeOne(p *part, d *stream.Descriptor, next *order, buf []byte) error {
	if next.err != nil {
		return fmt.Errorf("blob %d of %d (%s): %w", next.num+1, len(d.Blobs), d.Blobs[next.num].Hash, next.err)
	}
	data := buf[:next.handle.Size()]
	if err := readAll(next.handle, data); err != nil {
		return err
	}
	plain, err := d.Decrypt(next.num, data)
	if err != nil {
		return err
	}
	if _, err := p.Write(plain); err != nil {
		return err
	}
	o.Meter.Add(1, int64(len(data)))
	return nil
}

// get gets a blob, and asks again while the server fails.
func (o *Options) get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	pause := o.RetryAfter
	for n := 1; ; n++ {
		handle, err := o.Origin.Get(ctx, h)
		if err == nil || n == tries || ctx.Err() != nil || errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrProtected) {
			return handle, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pause):
		}
		pause *= 2
	}
}

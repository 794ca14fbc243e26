package syncdb

import (
	"context"
	"errors"
	"fmt"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/compare"
	"github.com/OdyseeTeam/prism/stores/disk"
)

// settleBatch is how many blobs are settled at a time, each kind of change in a transaction.
const settleBatch = 1000

// batch is what the catalogue is to be told.
type batch struct {
	gone    []blob.Hash
	puts    []metadata.Blob
	sds     []found
	lengths []metadata.Blob
	kinds   map[Kind]int64 // how many findings that settles
	size    int
}

// found is an SD blob that is to be noted.
type found struct {
	metadata.Blob
	kind  Kind
	known blob.Kind // as the disk has it
}

// settle compares once more, and settles what differs, a batch at a time.
func (r *run) settle(ctx context.Context, d contents) error {
	b := &batch{kinds: map[Kind]int64{}}
	err := r.walk(ctx, d, func(p compare.Pair, j judgement) error {
		if j.kind == "" || j.flying {
			return nil
		}
		if err := r.plan(ctx, d, b, p, j); err != nil || b.size < settleBatch {
			return err
		}
		return r.tell(ctx, d, b)
	})
	if err != nil {
		return err
	}
	return r.tell(ctx, d, b)
}

// plan adds one blob to a batch.
func (r *run) plan(ctx context.Context, d contents, b *batch, p compare.Pair, j judgement) error {
	x := metadata.Blob{Hash: p.Hash, Length: int(p.Size)}
	switch j.kind {
	case Blocked:
		r.blocked = append(r.blocked, p.Hash)
		return nil
	case DamagedSD:
		r.rep.leave(j.kind, p.Hash, j.detail)
		return nil
	case SDWithoutStream, StreamDiffers:
		return r.setStream(ctx, d, p, j)
	case RowWithoutBlob, StreamWithoutSD:
		b.gone = append(b.gone, p.Hash)
	case WrongLength:
		b.lengths = append(b.lengths, x)
	case BlobWithoutRow, BlobNotStored:
		var err error
		if x.At, err = d.written(p.Hash); err != nil {
			return err
		}
		sd, err := r.isSD(ctx, d, p)
		switch {
		case errors.Is(err, blob.ErrCorrupt), errors.Is(err, blob.ErrNotFound):
			r.rep.leave(j.kind, p.Hash, err.Error())
			return nil
		case err != nil:
			return err
		case sd:
			b.sds = append(b.sds, found{x, j.kind, p.Kind})
			b.size++
			return nil
		}
		b.puts = append(b.puts, x)
	}
	b.size++
	b.kinds[j.kind]++
	return nil
}

// isSD says whether a blob on the disk is an SD blob.
func (r *run) isSD(ctx context.Context, d contents, p compare.Pair) (bool, error) {
	if p.Kind == blob.KindSD {
		return true, nil
	}
	data, err := r.sd(ctx, d, p.Hash, p.Kind, p.Size)
	return data != nil, err
}

// sd reads an SD blob.
func (r *run) sd(ctx context.Context, d contents, h blob.Hash, kind blob.Kind, size int64) ([]byte, error) {
	data, sniffed, err := d.sd(h, kind)
	r.sniffed += sniffed
	if data == nil {
		return nil, err
	}
	return data, r.pace(ctx, int(size))
}

// tell tells the catalogue of a batch, and empties it.
func (r *run) tell(ctx context.Context, d contents, b *batch) error {
	if len(b.gone) > 0 {
		if err := r.cat.Delete(ctx, b.gone); err != nil {
			return err
		}
	}
	if len(b.puts) > 0 {
		if err := r.cat.PutBlobs(ctx, b.puts); err != nil {
			return err
		}
		b.lengths = append(b.lengths, b.puts...) // those that had rows keep the length that these say
	}
	if err := r.tellSDs(ctx, d, b); err != nil {
		return err
	}
	if len(b.lengths) > 0 {
		if err := r.cat.SetLengths(ctx, b.lengths); err != nil {
			return err
		}
	}
	for k, n := range b.kinds {
		r.rep.Repaired[k] += n
	}
	*b = batch{kinds: map[Kind]int64{}}
	return nil
}

// tellSDs notes SD blobs with their streams, each in a transaction.
func (r *run) tellSDs(ctx context.Context, d contents, b *batch) error {
	for _, x := range b.sds {
		data, err := r.sd(ctx, d, x.Hash, x.known, int64(x.Length))
		switch {
		case errors.Is(err, blob.ErrCorrupt), errors.Is(err, blob.ErrNotFound):
			r.rep.leave(x.kind, x.Hash, err.Error())
			continue
		case err != nil:
			return err
		}
		kind := blob.KindSD
		if data == nil {
			kind = blob.KindContent
		}
		bad, err := compare.Note(ctx, r.cat, x.Blob, kind, data)
		if err != nil {
			return err
		}
		if bad != nil {
			r.o.Logger.Warn("an SD blob cannot be read as one; the catalogue has no stream of it", "blob", x.Hash.String(), "err", bad)
		}
		b.lengths = append(b.lengths, x.Blob)
		b.kinds[x.kind]++
	}
	return nil
}

// deleteBlocked deletes blocked blobs through the store, which alone knows how, and notes that they are gone.
func (r *run) deleteBlocked(ctx context.Context) error {
	o := *r.t.Disk
	o.KeepAll, o.ScrubPeriod, o.Logger = true, 0, r.o.Logger
	store, err := disk.Open(ctx, o)
	if err != nil {
		return fmt.Errorf("delete what is blocked: %w", err)
	}
	err = r.deleteFrom(ctx, store)
	return errors.Join(err, store.Close())
}

func (r *run) deleteFrom(ctx context.Context, store *disk.Store) error {
	if err := store.WaitRecovered(ctx); err != nil {
		return err
	}
	for len(r.blocked) > 0 {
		some := r.blocked[:min(settleBatch, len(r.blocked))]
		for _, h := range some {
			if err := store.Delete(ctx, h); err != nil {
				return fmt.Errorf("delete blocked blob %s: %w", h, err)
			}
		}
		if err := store.Flush(ctx); err != nil {
			return err
		}
		if err := r.cat.Delete(ctx, some); err != nil {
			return err
		}
		r.rep.Repaired[Blocked] += int64(len(some))
		r.blocked = r.blocked[len(some):]
	}
	return nil
}

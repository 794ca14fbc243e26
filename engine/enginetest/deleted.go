package enginetest

import (
	"context"
	"errors"
	"fmt"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
)

// DeletedStaysDeleted puts a blob, deletes it before any watermark has passed it, and cuts the power at once, with many
// outcomes: the record's slot and payload may then be whole on the disk, and its dead mark and its punch may not.
func DeletedStaysDeleted(ctx context.Context, sync engine.Sync, seeds int) (err error) {
	const run = 2 // even: no flush by itself
	fs, err := emptyDisk()
	if err != nil {
		return err
	}
	e, err := engine.Open(ctx, Options(fs, sync, false, run))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	p := Promise{Options: Options(nil, sync, false, run), States: map[int]State{}}
	for i := range 4 {
		p.Blobs = append(p.Blobs, Blob(run, i))
		if err := e.Put(ctx, p.Blobs[i], blob.KindContent); err != nil {
			return err
		}
		p.States[i] = Maybe
	}
	if err := e.Delete(ctx, p.Blobs[0].Hash()); err != nil {
		return err
	}
	p.States[0] = Absent
	for seed := range seeds {
		disk, report := fs.Cut(uint64(seed))
		if _, err := verify(ctx, fmt.Sprintf("after a delete above the watermark (%v)", report), run, p, disk); err != nil {
			return err
		}
	}
	return nil
}

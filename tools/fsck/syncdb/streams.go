package syncdb

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine/check"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/compare"
	"github.com/OdyseeTeam/prism/protocol/stream"
)

// judgeStream says on what the catalogue differs from an SD blob on the disk that both have as stored. A blob that has no
// row, or one that is not stored, is a finding of its own, which its stream is noted with.
func (r *run) judgeStream(ctx context.Context, d contents, p compare.Pair) (j judgement, err error) {
	data, err := r.sd(ctx, d, p.Hash, p.Kind, p.Size)
	switch {
	case errors.Is(err, blob.ErrCorrupt), errors.Is(err, check.ErrDamaged), errors.Is(err, syscall.EIO):
		return judgement{kind: DamagedSD, detail: err.Error()}, nil
	case errors.Is(err, blob.ErrNotFound): // it went meanwhile
		return judgement{}, nil
	case err != nil, data == nil:
		return judgement{}, err
	}
	desc, bad := stream.ParseSD(data)
	if bad != nil {
		return judgement{unnoted: true}, nil
	}
	links, err := r.cat.Links(ctx, p.Hash, desc.StreamHash)
	switch {
	case err != nil:
		return judgement{}, err
	case links.Taken:
		return judgement{unnoted: true}, nil
	case !links.Known:
		return judgement{
			kind: SDWithoutStream, desc: desc,
			detail: fmt.Sprintf("an SD blob that names %d blobs is on the disk, and the catalogue has no stream of it", len(desc.Blobs)),
		}, nil
	}
	if lacks, more := differ(desc.Blobs, links.Blobs); lacks+more > 0 {
		return judgement{
			kind: StreamDiffers, desc: desc,
			detail: fmt.Sprintf("its stream in the catalogue lacks %d of the %d blobs that it names, and has %d others", lacks, len(desc.Blobs), more),
		}, nil
	}
	return judgement{}, nil
}

// differ counts what one list of blobs has that another lacks, and the other way round. Each blob is in a list once.
func differ(named, noted []blob.Hash) (lacks, more int) {
	known := make(map[blob.Hash]struct{}, len(noted))
	for _, h := range noted {
		known[h] = struct{}{}
	}
	for _, h := range named {
		if _, ok := known[h]; !ok {
			lacks++
		}
	}
	return lacks, len(noted) - (len(named) - lacks)
}

// absent is blobs that the catalogue knows, not as stored, and that the disk does not have: SD blobs may be among them.
type absent []compare.Pair

// judgeAbsent gives those that the catalogue has a stream of. Under soft deletes they are what evictions leave; else a
// stream goes with its SD blob, and one that did not keeps its rows for ever.
func (r *run) judgeAbsent(ctx context.Context, d contents, list absent, each func(compare.Pair, judgement) error) error {
	hashes := make([]blob.Hash, len(list))
	for i, p := range list {
		hashes[i] = p.Hash
	}
	have, err := r.cat.HaveStreams(ctx, hashes)
	if err != nil {
		return err
	}
	for i, p := range list {
		if !have[i] {
			continue
		}
		j := judgement{sdGone: true}
		if !r.t.SoftDeletes {
			j = judgement{kind: StreamWithoutSD, detail: "the catalogue has its stream, and the disk does not have the SD blob"}
			if j.flying, err = r.flying(d, p); err != nil {
				return err
			}
		}
		if err := each(p, j); err != nil {
			return err
		}
	}
	return nil
}

// setStream notes the stream of an SD blob as it is on the disk.
func (r *run) setStream(ctx context.Context, d contents, p compare.Pair, j judgement) error {
	at, err := d.written(p.Hash)
	if err != nil {
		return err
	}
	if err := r.cat.SetStream(ctx, metadata.Blob{Hash: p.Hash, Length: int(p.Size), At: at}, j.desc); err != nil {
		return err
	}
	r.rep.Repaired[j.kind]++
	return nil
}

package bolt

import (
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/metadata"
)

// The names of buckets, and the keys of meta. They are constants that Go does not have for slices.
var (
	bucketMeta     = []byte("meta")
	bucketBlobs    = []byte("blobs")
	bucketStreams  = []byte("streams")
	bucketNames    = []byte("names")
	bucketContents = []byte("contents")
	bucketLinks    = []byte("links")
	bucketBlocked  = []byte("blocked")

	buckets = [...][]byte{bucketMeta, bucketBlobs, bucketStreams, bucketNames, bucketContents, bucketLinks, bucketBlocked}

	keyFormat = []byte("format")
	keyRows   = []byte("rows")
	keyStored = []byte("stored")
)

// tx is the buckets in one transaction.
type tx struct {
	meta, blobs, streams, names, contents, links, blocked *bbolt.Bucket

	rows, stored int64 // by how much their numbers change
}

func newTx(t *bbolt.Tx) *tx {
	return &tx{
		meta: t.Bucket(bucketMeta), blobs: t.Bucket(bucketBlobs), streams: t.Bucket(bucketStreams),
		names: t.Bucket(bucketNames), contents: t.Bucket(bucketContents), links: t.Bucket(bucketLinks),
		blocked: t.Bucket(bucketBlocked),
	}
}

// row is a row of blobs.
type row struct {
	stored bool
	length int
	at     time.Time // zero where none is noted
}

const rowSize = 1 + 4 + 8

// isStored says whether a row in its bytes, or none, is that of a stored blob.
func isStored(b []byte) bool { return len(b) == rowSize && b[0] == 1 }

func readRow(b []byte) (row, error) {
	if len(b) != rowSize || b[0] > 1 {
		return row{}, fmt.Errorf("%w: a row of %d bytes: %s", metadata.ErrUnavailable, len(b), mend)
	}
	return row{b[0] == 1, int(binary.BigEndian.Uint32(b[1:])), readTime(b[5:])}, nil
}

func (r row) bytes() []byte {
	b := make([]byte, 1, rowSize)
	if r.stored {
		b[0] = 1
	}
	return appendTime(binary.BigEndian.AppendUint32(b, uint32(r.length)), r.at)
}

const timeSize = 8

func readTime(b []byte) time.Time {
	s := binary.BigEndian.Uint64(b)
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(int64(s), 0).UTC()
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.BigEndian.AppendUint64(b, 0)
	}
	return binary.BigEndian.AppendUint64(b, uint64(t.Unix()))
}

// get reads a row; known is false where there is none.
func (t *tx) get(h blob.Hash) (r row, known bool, err error) {
	b := t.blobs.Get(h[:])
	if b == nil {
		return row{}, false, nil
	}
	r, err = readRow(b)
	return r, true, err
}

// put writes a row in the place of old, or as a new one.
func (t *tx) put(h blob.Hash, r, old row, known bool) error {
	if known && r == old {
		return nil
	}
	if !known {
		t.rows++
	}
	t.stored += number(r.stored) - number(old.stored)
	return t.blobs.Put(h[:], r.bytes())
}

// remove deletes a row.
func (t *tx) remove(h blob.Hash, old row) error {
	t.rows--
	t.stored -= number(old.stored)
	return t.blobs.Delete(h[:])
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// count writes the numbers of rows, at the end of a transaction.
func (t *tx) count() error {
	for key, by := range map[string]int64{string(keyRows): t.rows, string(keyStored): t.stored} {
		if by == 0 {
			continue
		}
		if err := t.meta.Put([]byte(key), binary.BigEndian.AppendUint64(nil, uint64(t.number([]byte(key))+by))); err != nil {
			return err
		}
	}
	return nil
}

// number is one of meta.
func (t *tx) number(key []byte) int64 {
	b := t.meta.Get(key)
	if len(b) != 8 {
		return 0 // of a new catalogue
	}
	return int64(binary.BigEndian.Uint64(b))
}

// streamsOf calls fn for each stream that names a content blob.
func (t *tx) streamsOf(h blob.Hash, fn func(sd blob.Hash) error) error {
	c := t.links.Cursor()
	for k, _ := c.Seek(h[:]); len(k) == 2*blob.HashSize && blob.Hash(k[:blob.HashSize]) == h; k, _ = c.Next() {
		if err := fn(blob.Hash(k[blob.HashSize:])); err != nil {
			return err
		}
	}
	return nil
}

// link is a key of links.
func link(content, sd blob.Hash) []byte { return append(content[:], sd[:]...) }

package benchmarks

import (
	"context"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/pebblefs"
	"github.com/OdyseeTeam/prism/segments"
	"github.com/OdyseeTeam/prism/segments/mount"
)

// bigMount describes a mount that a script made: any number of blobs of one size, in the format of packages segments and
// index, written by them. Two things are not what a cache would have. A blob's name is the hash of its number, not of its
// bytes, which a store never compares again. And all payloads are the same bytes: where the file system can (XFS,
// btrfs), every segment shares the blocks of one donor, so that 1 TiB of blobs takes 1 GiB of disk. To whoever looks such
// blocks are like any: they are data to SEEK_DATA, count in st_blocks, read as bytes that match their CRC, and can be
// punched.
type bigMount struct {
	dir     string
	blobs   int
	size    int   // bytes a blob
	segment int64 // payload bytes a segment
}

// hash is the name of blob number i.
func (bigMount) hash(i int) blob.Hash {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(i))
	return sha512.Sum384(b[:])
}

// bytes is what the blobs occupy.
func (m bigMount) bytes() int64 { return int64(m.blobs) * segments.Blocks(uint32(m.size)) }

// payload is the bytes of every blob; longer ones go on as the same block again and again.
func (m bigMount) payload() []byte {
	p := make([]byte, m.size)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(p[:min(len(p), segments.BlockSize)])
	for n := segments.BlockSize; n < len(p); n *= 2 {
		copy(p[n:], p[:n])
	}
	return p
}

// exists says whether it was made before.
func (m bigMount) exists() bool {
	_, err := os.Stat(filepath.Join(m.dir, "superblock"))
	return err == nil
}

// make makes the mount, as after a clean stop. What was there must be empty.
func (m bigMount) make(ctx context.Context) error {
	fsys, err := newCloneFS(m)
	if err != nil {
		return err
	}
	defer fsys.donor.Close()
	mnt, err := mount.Open(fsys, m.dir, mount.Superblock{SegmentSize: m.segment, IndexFormat: uint32(index.FormatVersion)})
	if err != nil {
		return err
	}
	x, err := index.Open(index.Options{FS: pebblefs.New(diskfs.OS()), Dir: mnt.IndexDir()})
	if err != nil {
		return errors.Join(err, mnt.Close())
	}
	w := mountWriter{bigMount: m, fsys: fsys, mnt: mnt, index: x, data: m.payload()}
	return errors.Join(w.write(ctx), x.Close(), mnt.Close())
}

// idsPerClaim and seqBits are as in the engine: ids are claimed in the superblock by so many, and sequences start at the
// number of the claim, shifted.
const (
	idsPerClaim = 4096
	seqBits     = 40
)

type mountWriter struct {
	bigMount
	fsys  *cloneFS
	mnt   *mount.Mount
	index *index.Index
	data  []byte
	seq   uint64
}

func (w *mountWriter) write(ctx context.Context) error {
	perSegment := int(w.segment / segments.Blocks(uint32(w.size)))
	claims := uint64((w.blobs/perSegment+1)/idsPerClaim + 1)
	if err := w.mnt.Update(func(s *mount.Superblock) { s.IDCeiling = claims * idsPerClaim }); err != nil {
		return err
	}
	w.seq = claims << seqBits
	for id, first := segments.ID(1), 0; first < w.blobs; id, first = id+1, first+perSegment {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := w.writeSegment(id, first, min(first+perSegment, w.blobs)); err != nil {
			return err
		}
	}
	b := w.index.NewBatch()
	b.SetMeta(index.Meta{NextSeq: w.seq + 1, Clean: true})
	return b.Commit(true)
}

// writeSegment makes one sealed segment with the blobs [first, end), and their rows.
func (w *mountWriter) writeSegment(id segments.ID, first, end int) error {
	now := uint32(time.Now().Unix())
	s, err := segments.Create(w.fsys, w.mnt.SegmentPath(id), segments.Header{
		Mount: w.mnt.Superblock().ID, ID: id, Capacity: w.segment, Created: uint64(now),
	})
	if err != nil {
		return err
	}
	defer s.Close()
	batch := w.index.NewBatch()
	crc := segments.Checksum(w.data)
	for i := first; i < end; i++ {
		loc, ok := s.Reserve(uint32(w.size))
		if !ok {
			return fmt.Errorf("segment %d has no room for blob %d", id, i)
		}
		loc.CRC = crc
		w.seq++
		rec := segments.Record{Hash: w.hash(i), Location: loc, Seq: w.seq, Time: now}
		if err := s.Write(rec, w.data); err != nil {
			return err
		}
		batch.Put(rec.Hash, index.Entry{Location: loc, Seq: w.seq})
		if batch.Len() >= 10_000 {
			if err := batch.Commit(false); err != nil {
				return err
			}
			batch = w.index.NewBatch()
		}
	}
	s.Seal()
	if err := errors.Join(s.GiveBack(s.Tail()), s.Sync()); err != nil {
		return err
	}
	n := end - first
	batch.SetSegment(index.SegmentRow{
		ID: id, State: index.StateSealed, Capacity: w.segment, Slots: uint32(n), Watermark: uint32(n),
		LiveBlobs: int64(n), LiveBytes: int64(n) * segments.Blocks(uint32(w.size)),
	})
	return batch.Commit(false)
}

// cloneFS is the machine's file system, in which the payloads of a new segment are there before they are written: they
// share the blocks of a donor. Where blocks cannot be shared it is the file system as it is.
type cloneFS struct {
	diskfs.FS
	donor *os.File // nil: cannot be
}

// newCloneFS makes the donor, without a name, beside the mount: the payload region of a full segment.
func newCloneFS(m bigMount) (*cloneFS, error) {
	f, err := os.CreateTemp(filepath.Dir(m.dir), "donor-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	fsys := &cloneFS{FS: diskfs.OS(), donor: f}
	data := make([]byte, segments.Blocks(uint32(m.size)))
	copy(data, m.payload())
	if _, err = f.Write(data); err == nil {
		err = fsys.tryClone(filepath.Dir(m.dir), f)
	}
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, unix.EXDEV) || errors.Is(err, unix.EINVAL) {
		fsys.donor, err = nil, f.Close()
		return fsys, err
	}
	for n := int64(len(data)); err == nil && n+int64(len(data)) <= m.segment; n += int64(len(data)) {
		_, err = f.Write(data)
	}
	if err == nil {
		err = errors.Join(f.Truncate(m.segment), f.Sync())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return fsys, nil
}

func (*cloneFS) tryClone(dir string, from *os.File) error {
	to, err := os.CreateTemp(dir, "clone-")
	if err != nil {
		return err
	}
	defer os.Remove(to.Name())
	defer to.Close()
	return unix.IoctlFileClone(int(to.Fd()), int(from.Fd()))
}

// Create is for segments; other files pass through Open and are as they are.
func (c *cloneFS) Create(name string) (diskfs.File, error) {
	f, err := c.FS.Create(name)
	if err != nil || c.donor == nil || filepath.Ext(name) != ".seg" {
		return f, err
	}
	return &clonedFile{File: f, name: name, donor: c.donor}, nil
}

// clonedFile is a segment whose payloads come from the donor.
type clonedFile struct {
	diskfs.File
	name  string
	donor *os.File
	at    int64 // of the payloads; 0 until they are there
}

// Preallocate shares the donor's blocks.
func (f *clonedFile) Preallocate(off, n int64) error {
	to, err := os.OpenFile(f.name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	f.at = off
	return errors.Join(unix.IoctlFileCloneRange(int(to.Fd()), &unix.FileCloneRange{
		Src_fd: int64(f.donor.Fd()), Src_length: uint64(n), Dest_offset: uint64(off),
	}), to.Close())
}

// WriteAt writes what is no payload.
func (f *clonedFile) WriteAt(p []byte, off int64) (int, error) {
	if f.at > 0 && off >= f.at {
		return len(p), nil
	}
	return f.File.WriteAt(p, off)
}

// Map is not needed.
func (*clonedFile) Map(int64) (diskfs.Mapping, error) { return nil, errors.ErrUnsupported }

// makeBigMount is a role of the test binary: DIR BLOBS SIZE SEGMENT.
func makeBigMount(args []string) error {
	if len(args) != 4 {
		return errors.New("want DIR BLOBS BYTES-A-BLOB BYTES-A-SEGMENT")
	}
	m := bigMount{dir: args[0]}
	var errs [3]error
	m.blobs, errs[0] = strconv.Atoi(args[1])
	m.size, errs[1] = strconv.Atoi(args[2])
	m.segment, errs[2] = strconv.ParseInt(args[3], 10, 64)
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	if m.exists() {
		return fmt.Errorf("%s: %w", m.dir, fs.ErrExist)
	}
	return m.make(context.Background())
}

package segments

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// Segment is one segment file. All methods are safe for concurrent use. The file is opened when it is first needed,
// and closed by Close once the last pin is gone.
type Segment struct {
	fs   diskfs.FS
	path string
	hdr  Header // of an active segment from the start; of others once opened

	files *Files // nil: nothing bounds how many are open
	place int    // of files

	writing sync.Mutex // held while a record is written: see Write

	mu     sync.Mutex // held for moments, never across I/O but that of opening
	file   diskfs.File
	mapped diskfs.Mapping // nil where the file system has no mappings
	pins   map[uint32]int // by slot
	bits   bitmap         // two bits a slot: see bits.go
	fresh  bitmap         // written by this process and not read yet
	dead   bitmap         // records that died in this process: see Pin
	held   map[uint32]func()
	closed bool
	then   func() // what CloseThen left to be done

	assumed         bool   // the header is damaged on disk, and hdr stands for it: see Assume
	headed          bool   // the header was read once, and hdr does not change any more
	busy            int    // calls that use the file without a pin
	recent          bool   // used since files last looked
	changes, synced uint64 // counts of changes to the file: all, and when the last good sync began

	next   uint32              // first slot that is not reserved; meaningless for opened segments
	tail   int64               // offset of the next payload
	done   map[uint32]struct{} // completed slots at or above prefix
	prefix uint32              // every slot below it is completed
	sealed bool
}

// Create makes a segment file: header written, payloads preallocated, file and folder synced, so that whatever is
// later synced in it can be found again. A file that could not be made whole is removed. Errors wrap the file
// system's.
func Create(fs diskfs.FS, path string, h Header) (*Segment, error) {
	if h.ID == 0 || h.Capacity <= 0 || h.Capacity > maxCapacity || h.Capacity%BlockSize != 0 {
		return nil, fmt.Errorf("segments: create %s: id %d with capacity %d: want a positive multiple of %d", path, h.ID, h.Capacity, BlockSize)
	}
	f, err := fs.Create(path)
	if err != nil {
		return nil, fmt.Errorf("segments: create: %w", err)
	}
	if err := prepare(fs, f, path, h); err != nil {
		err = errors.Join(err, f.Close(), fs.Remove(path))
		return nil, fmt.Errorf("segments: create %s: %w", path, err)
	}
	s := newSegment(fs, path)
	s.hdr, s.file, s.tail, s.headed = h, f, h.PayloadAt(), true
	s.done = map[uint32]struct{}{}
	return s, nil
}

func prepare(fs diskfs.FS, f diskfs.File, path string, h Header) error {
	if err := f.Preallocate(h.PayloadAt(), h.Capacity); err != nil {
		return err
	}
	if _, err := f.WriteAt(appendHeader(nil, h), 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return fs.SyncDir(filepath.Dir(path))
}

// At names a segment that exists, without touching the disk. It takes no more records. Its header is read and checked
// when the file is first needed; the mount and id must be h's (the capacity is read).
func At(fs diskfs.FS, path string, mount [16]byte, id ID) *Segment {
	s := newSegment(fs, path)
	s.hdr = Header{Mount: mount, ID: id}
	s.sealed = true
	return s
}

// Assume is At for a segment whose header is damaged: h stands for it. It is for the repair of a mount at rest.
func Assume(fs diskfs.FS, path string, h Header) *Segment {
	s := At(fs, path, h.Mount, h.ID)
	s.hdr, s.headed, s.assumed = h, true, true
	return s
}

// RestoreHeader writes the header that was assumed. It syncs nothing.
func (s *Segment) RestoreHeader() error {
	f, err := s.change()
	if err != nil {
		return err
	}
	defer s.changed()
	if _, err := f.WriteAt(appendHeader(nil, s.hdr), 0); err != nil {
		return fmt.Errorf("segments: write the header of %d: %w", s.hdr.ID, err)
	}
	return nil
}

func newSegment(fs diskfs.FS, path string) *Segment {
	return &Segment{fs: fs, path: path, pins: map[uint32]int{}, held: map[uint32]func(){}}
}

// ID is the segment's id.
func (s *Segment) ID() ID { return s.hdr.ID }

// Path is where the file is, or was.
func (s *Segment) Path() string { return s.path }

// Header is what the file says; it opens the file where that has not happened.
func (s *Segment) Header() (Header, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.headed {
		if _, err := s.openLocked(); err != nil {
			return Header{}, err
		}
	}
	return s.hdr, nil
}

// open gives the file to the holder of a pin, opening it first where needed.
func (s *Segment) open() (diskfs.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.openLocked()
}

func (s *Segment) openLocked() (diskfs.File, error) {
	if s.file != nil {
		return s.file, nil
	}
	if s.closed {
		return nil, fmt.Errorf("segments: segment %d: %w", s.hdr.ID, fs.ErrClosed)
	}
	f, err := s.fs.Open(s.path, true)
	if err != nil {
		return nil, fmt.Errorf("segments: open: %w", err)
	}
	h := s.hdr
	if !s.assumed {
		h, err = readHeader(f)
	}
	if err == nil && (h.Mount != s.hdr.Mount || h.ID != s.hdr.ID || s.headed && h != s.hdr) {
		err = fmt.Errorf("%w: file says segment %d of mount %x", ErrBadHeader, h.ID, h.Mount)
	}
	if err != nil {
		return nil, fmt.Errorf("segments: open %s: %w", s.path, errors.Join(err, f.Close()))
	}
	if !s.headed { // Mount and ID stay untouched: ID is read without the lock
		s.hdr.Capacity, s.hdr.Created, s.headed = h.Capacity, h.Created, true
	}
	s.file = f
	s.files.add(s)
	return f, nil
}

func readHeader(f diskfs.File) (Header, error) {
	var b [HeaderSize]byte
	n, err := f.ReadAt(b[:], 0)
	if err != nil && err != io.EOF {
		return Header{}, err
	}
	return ParseHeader(b[:n])
}

// mapping gives the file's mapping, made when first needed; nil where the file system has none.
func (s *Segment) mapping() (diskfs.Mapping, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mapped != nil {
		return s.mapped, nil
	}
	f, err := s.openLocked()
	if err != nil {
		return nil, err
	}
	n, err := f.Size()
	if err != nil {
		return nil, err
	}
	m, err := f.Map(n)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("segments: map %s: %w", s.path, err)
	}
	s.mapped = m
	return m, nil
}

// Close closes the file and ends its mapping, now or at the release of the last pin. Close again does nothing.
func (s *Segment) Close() error { return s.CloseThen(nil) }

// CloseThen is Close, and calls then once nothing of the segment is open any more: at once, or on the goroutine of the
// last reader. It is called once a segment, without its lock.
func (s *Segment) CloseThen(then func()) error {
	s.mu.Lock()
	s.closed = true
	if then != nil {
		s.then = then
	}
	then, err := s.closeLocked()
	s.mu.Unlock()
	if then != nil {
		then()
	}
	return err
}

// closeLocked closes what is open, once nobody needs it, and says what is to be done then.
func (s *Segment) closeLocked() (then func(), err error) {
	if !s.closed || len(s.pins) > 0 {
		return nil, nil
	}
	if s.file != nil {
		s.files.drop(s)
		err = s.takeLocked().close()
	}
	then, s.then = s.then, nil
	return then, err
}

// Unlink removes the file and syncs its folder. Pinned readers go on. What the file takes is given back with Discard or
// Close.
func (s *Segment) Unlink() error {
	if _, err := s.acquire(); err == nil { // a file that is open keeps its blocks
		defer s.letGo()
	}
	if err := s.fs.Remove(s.path); err != nil {
		return fmt.Errorf("segments: unlink: %w", err)
	}
	return s.fs.SyncDir(filepath.Dir(s.path))
}

// discardStep is how much of a removed file Discard gives back at once.
const discardStep = 4 << 20

// Discard closes a segment whose file was removed, and gives its blocks back step by step: a gigabyte of them with their
// pages keeps a processor and the journal from everybody else for a quarter of a second. It calls pause after each step,
// with the time that the step took. Where there are readers, it is Close.
func (s *Segment) Discard(pause func(time.Duration)) error {
	s.mu.Lock()
	if s.closed || len(s.pins) > 0 || s.busy > 0 || s.file == nil {
		s.mu.Unlock()
		return s.Close()
	}
	s.closed = true // nobody pins or opens it any more
	s.files.drop(s)
	o := s.takeLocked()
	s.mu.Unlock()
	return errors.Join(o.shrink(pause), o.close())
}

// shrink cuts what is open down to nothing.
func (o *opened) shrink(pause func(time.Duration)) error {
	size, err := o.file.Size()
	if o.mapped != nil {
		err = errors.Join(err, o.mapped.Unmap())
		o.mapped = nil
	}
	for err == nil && size > 0 {
		began := time.Now()
		size = max(0, size-discardStep)
		err = o.file.Truncate(size)
		pause(time.Since(began))
	}
	return err
}

// Sync makes everything that was written so far durable. After a failed Sync the segment must be sealed and nothing
// that was written since the last good one may be trusted; Sync is never tried again.
func (s *Segment) Sync() error {
	f, err := s.acquire()
	if err != nil {
		return err
	}
	defer s.letGo()
	s.mu.Lock()
	began := s.changes
	s.mu.Unlock()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("segments: sync %d: %w", s.hdr.ID, err)
	}
	s.mu.Lock()
	s.synced = max(s.synced, began)
	s.mu.Unlock()
	return nil
}

// Size is the file's length in bytes.
func (s *Segment) Size() (int64, error) {
	f, err := s.acquire()
	if err != nil {
		return 0, err
	}
	defer s.letGo()
	return f.Size()
}

// Allocated is the number of bytes that the file occupies on the device.
func (s *Segment) Allocated() (int64, error) {
	f, err := s.acquire()
	if err != nil {
		return 0, err
	}
	defer s.letGo()
	return f.Allocated()
}

package lists

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// A state file is the last good state of a list. It is written anew each time, under another name that it is renamed
// from, and read only if it is whole. Numbers are little-endian.
//
//	offset  bytes  what
//	0       8      "prismlst"
//	8       4      version, 1
//	12      4      bytes of a record: 48 for protected hashes, 85 for what outputs hold
//	16      8      the first bytes of the SHA-256 of the list's URL: another list is no state of this one
//	24      8      when the state was good, in seconds since 1970; 0 for never
//	32      8      number of records
//	40      n      records
//	40+n    4      CRC32C of all before
const (
	stateMagic   = "prismlst"
	stateVersion = 1
	stateHeader  = 40
)

// errState is a state file that is of no use: cut, damaged, or of another list.
var errState = errors.New("the state on disk is of no use")

// stateFile is where the state of one list is.
type stateFile struct {
	fs     diskfs.FS
	dir    string
	name   string
	url    string
	record int // bytes
}

func (s *stateFile) path() string { return filepath.Join(s.dir, s.name) }

func (s *stateFile) header(good time.Time, count int) []byte {
	h := make([]byte, 0, stateHeader)
	h = append(h, stateMagic...)
	h = binary.LittleEndian.AppendUint32(h, stateVersion)
	h = binary.LittleEndian.AppendUint32(h, uint32(s.record))
	sum := sha256.Sum256([]byte(s.url))
	h = append(h, sum[:8]...)
	seconds := int64(0)
	if !good.IsZero() {
		seconds = good.Unix()
	}
	h = binary.LittleEndian.AppendUint64(h, uint64(seconds))
	return binary.LittleEndian.AppendUint64(h, uint64(count))
}

// save replaces the state. put appends record i.
func (s *stateFile) save(good time.Time, count int, put func(dst []byte, i int) []byte) error {
	if err := s.makeFolder(); err != nil {
		return err
	}
	tmp := s.path() + ".tmp"
	if err := s.fs.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := s.fs.Create(tmp)
	if err != nil {
		return err
	}
	err = s.write(f, good, count, put)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, s.fs.Remove(tmp))
	}
	if err := s.fs.Rename(tmp, s.path()); err != nil {
		return err
	}
	return s.fs.SyncDir(s.dir)
}

func (s *stateFile) makeFolder() error {
	err := s.fs.Mkdir(s.dir)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		err = s.fs.SyncDir(filepath.Dir(s.dir))
	}
	return err
}

func (s *stateFile) write(f io.WriterAt, good time.Time, count int, put func(dst []byte, i int) []byte) error {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	out := bufio.NewWriterSize(io.NewOffsetWriter(f, 0), 256<<10)
	w := io.MultiWriter(out, sum)
	if _, err := w.Write(s.header(good, count)); err != nil {
		return err
	}
	buf := make([]byte, 0, s.record)
	for i := range count {
		buf = put(buf[:0], i)
		if _, err := w.Write(buf); err != nil {
			return err
		}
	}
	if _, err := out.Write(binary.LittleEndian.AppendUint32(nil, sum.Sum32())); err != nil {
		return err
	}
	return out.Flush()
}

// load reads the state: begin is told the number of records, take gets each. What they did is to be forgotten when load
// fails: fs.ErrNotExist when there is none, errState when it is of no use.
func (s *stateFile) load(begin func(count int), take func(record []byte)) (good time.Time, err error) {
	f, err := s.fs.Open(s.path(), false)
	if err != nil {
		return time.Time{}, err
	}
	defer func() { _ = f.Close() }()
	size, err := f.Size()
	if err != nil {
		return time.Time{}, err
	}
	in := bufio.NewReaderSize(io.NewSectionReader(f, 0, size), 256<<10)
	head := make([]byte, stateHeader)
	if _, err := io.ReadFull(in, head); err != nil {
		return time.Time{}, s.useless("it is cut", err)
	}
	seconds := int64(binary.LittleEndian.Uint64(head[24:]))
	if seconds != 0 {
		good = time.Unix(seconds, 0)
	}
	count := binary.LittleEndian.Uint64(head[32:])
	room := size - stateHeader - 4
	if room < 0 || count != uint64(room/int64(s.record)) || room%int64(s.record) != 0 || string(head) != string(s.header(good, int(count))) {
		return time.Time{}, s.useless("it is damaged, or of another URL or version", nil)
	}
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	_, _ = sum.Write(head)
	begin(int(count))
	buf := make([]byte, s.record)
	for range count {
		if _, err := io.ReadFull(in, buf); err != nil {
			return time.Time{}, s.useless("it is cut", err)
		}
		_, _ = sum.Write(buf)
		take(buf)
	}
	var want [4]byte
	if _, err := io.ReadFull(in, want[:]); err != nil || binary.LittleEndian.Uint32(want[:]) != sum.Sum32() {
		return time.Time{}, s.useless("its checksum does not match", err)
	}
	return good, nil
}

func (s *stateFile) useless(why string, err error) error {
	if err != nil {
		return fmt.Errorf("%w: %s: %s: %w", errState, s.path(), why, err)
	}
	return fmt.Errorf("%w: %s: %s", errState, s.path(), why)
}

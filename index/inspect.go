package index

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math/bits"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"
)

// FlawKind says what a flaw means.
type FlawKind int

// The kinds of flaws.
const (
	// Damaged: bytes that an open may need are not what was written.
	Damaged FlawKind = iota
	// Ragged: a log does not end as a run that ended in good order leaves it. A power cut leaves such logs.
	Ragged
	// Idle: what is wrong is of no consequence.
	Idle
	// IdleRagged: both. A run that was killed while it started leaves such files.
	IdleRagged
)

// Flaw is something in the folder of an index that is not as it was left.
type Flaw struct {
	File  string // its name in the folder
	Kind  FlawKind
	Table bool // the file is a table: one that is not among Index.Tables is not needed
	What  string
}

// Inspect reads the files of the index in dir, which nobody has open for writing, from end to end: each block of each
// table, each record of the logs and of the manifests, and the options. What a log was before it was used again is not
// looked at. The error says why the folder could not be read, or is ctx's; a missing folder has no flaws.
func Inspect(ctx context.Context, fsys vfs.FS, dir string) ([]Flaw, error) {
	names, err := fsys.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("index: list %s: %w", dir, err)
	}
	slices.Sort(names)
	i := inspection{fs: fsys, dir: dir}
	if i.manifest, err = atomicfs.ReadMarker(fsys, dir, "manifest"); err != nil {
		i.add(dir, Damaged, err.Error())
	}
	if i.manifest != "" && !slices.Contains(names, i.manifest) {
		i.add(i.manifest, Damaged, "it is missing")
	}
	for _, name := range names {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		i.look(name)
	}
	return i.flaws, nil
}

// inspection is one look at a folder.
type inspection struct {
	fs       vfs.FS
	dir      string
	manifest string // the one that is marked as current
	flaws    []Flaw
}

func (i *inspection) add(name string, kind FlawKind, what string) {
	i.flaws = append(i.flaws, Flaw{File: name, Kind: kind, What: what})
}

// look finds out what a file is, by its name.
func (i *inspection) look(name string) {
	switch {
	case name == "LOCK", strings.HasSuffix(name, ".dbtmp"):
	case strings.HasPrefix(name, "marker."):
		i.lookAtMarker(name)
	case name == i.manifest:
		i.lookAtLog(name, 0, false)
	case matches(`^MANIFEST-\d+$`, name):
		i.lookAtOlder(name)
	case matches(`^OPTIONS-\d+$`, name):
		i.lookAtOptions(name)
	case matches(`^\d+\.sst$`, name):
		i.lookAtTable(name)
	case matches(`^\d+(-\d+)?\.log$`, name):
		num, err := strconv.ParseUint(name[:strings.IndexAny(name, "-.")], 10, 32)
		if err != nil {
			i.add(name, Idle, "no log has such a number")
			return
		}
		i.lookAtLog(name, uint32(num), true)
	default:
		i.add(name, Idle, "it is not a file of the index")
	}
}

func matches(pattern, name string) bool { return regexp.MustCompile(pattern).MatchString(name) }

// read gives a whole file.
func (i *inspection) read(name string) ([]byte, error) {
	f, err := i.fs.Open(i.fs.PathJoin(i.dir, name))
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(f)
	return b, errors.Join(err, f.Close())
}

// lookAtMarker: the name of a marker is what it says.
func (i *inspection) lookAtMarker(name string) {
	info, err := i.fs.Stat(i.fs.PathJoin(i.dir, name))
	switch {
	case err != nil:
		i.add(name, Damaged, err.Error())
	case info.Size() > 0:
		i.add(name, Idle, "a marker is an empty file")
	}
}

// lookAtOptions holds the file to what Pebble reads in it, and to what it writes. Nothing depends on the values.
func (i *inspection) lookAtOptions(name string) {
	b, err := i.read(name)
	switch {
	case err != nil:
		i.add(name, Damaged, err.Error())
		return
	case !bytes.HasPrefix(b, []byte("[Version]\n")) || !bytes.HasSuffix(b, []byte("\n")) || !bytes.Contains(b, []byte("\n[Level \"0\"]\n")):
		err = errors.New("it is not whole")
	case bytes.ContainsFunc(b, func(r rune) bool { return r != '\n' && (r < ' ' || r > '~') }):
		err = errors.New("it is not text")
	default:
		err = (&pebble.Options{}).Parse(string(b), nil)
	}
	if err != nil {
		i.add(name, Idle, "options: "+err.Error())
	}
}

// lookAtTable reads all blocks of a table.
func (i *inspection) lookAtTable(name string) {
	if err := i.readTable(name); err != nil {
		i.flaws = append(i.flaws, Flaw{File: name, Kind: Damaged, Table: true, What: "table: " + err.Error()})
	}
}

func (i *inspection) readTable(name string) (err error) {
	defer func() {
		if cause := recover(); cause != nil { // a damaged block can panic
			err = fmt.Errorf("%v", cause)
		}
	}()
	f, err := i.fs.Open(i.fs.PathJoin(i.dir, name))
	if err != nil {
		return err
	}
	in, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	filter := bloom.FilterPolicy(filterBits)
	r, err := sstable.NewReader(context.Background(), in, sstable.ReaderOptions{
		Filters: map[string]sstable.FilterPolicy{filter.Name(): filter},
	})
	if err != nil {
		return errors.Join(err, in.Close())
	}
	return errors.Join(r.ValidateBlockChecksums(), r.Close())
}

// lookAtLog reads all records of a log, or of a manifest, which has no number and no trailer.
func (i *inspection) lookAtLog(name string, num uint32, trailer bool) {
	b, err := i.read(name)
	if err != nil {
		i.add(name, Damaged, err.Error())
		return
	}
	r := newReader(record.NewReader, b, num)
	records, err := readAll(r)
	switch {
	case trailer && records == 0 && (err == io.EOF || errors.Is(err, record.ErrUnexpectedEOF)) && len(bytes.Trim(b, "\x00")) == 0:
		i.add(name, IdleRagged, "it was not closed, and has no records")
	case errors.Is(err, record.ErrInvalidChunk), errors.Is(err, record.ErrZeroedChunk):
		i.add(name, Damaged, fmt.Sprintf("at %d: %v", r.Offset(), err))
	case err != io.EOF && !trailer:
		i.add(name, Damaged, fmt.Sprintf("from %d on: %v", r.Offset(), err))
	case err != io.EOF:
		i.add(name, Ragged, fmt.Sprintf("from %d on: %v", r.Offset(), err))
	case trailer:
		i.lookAtEnd(name, b, int(r.Offset()), num)
	}
}

// readAll counts the records up to the end, which is io.EOF.
func readAll(r *record.Reader) (n int, err error) {
	for {
		rec, err := r.Next()
		if err == nil {
			_, err = io.Copy(io.Discard, rec)
		}
		if err != nil {
			return n, err
		}
		n++
	}
}

// lookAtOlder reads a manifest that is not in use. Where the last run ended in good order it was closed.
func (i *inspection) lookAtOlder(name string) {
	b, err := i.read(name)
	if err == nil {
		_, err = readAll(newReader(record.NewReader, b, 0))
	}
	if err != io.EOF {
		i.add(name, IdleRagged, fmt.Sprintf("an older manifest: %v", err))
	}
}

// newReader calls record.NewReader, whose second type has no name here.
func newReader[N ~uint64](open func(io.Reader, N) *record.Reader, b []byte, num uint32) *record.Reader {
	return open(bytes.NewReader(b), N(num))
}

// What a log is made of.
const (
	logBlock      = 32 << 10
	trailerSize   = 11 // CRC and length, which are zeros, a type, and the number of the log after this one
	trailerType   = 5
	syncedType    = 9 // to 12; these have an offset more
	lastType      = 12
	syncedSize    = trailerSize + 8
	logTypeAt     = 6
	logNumberAt   = 7
	crcDelta      = 0xa282ead8
	crcShiftRight = 15
)

// lookAtEnd looks at the trailer of a log that was closed, and behind it: there is nothing, but in a file that was an older
// log before.
func (i *inspection) lookAtEnd(name string, b []byte, at int, num uint32) {
	var trailer [trailerSize]byte
	trailer[logTypeAt] = trailerType
	binary.LittleEndian.PutUint32(trailer[logNumberAt:], num+1)
	rest, ok := bytes.CutPrefix(b[at:], trailer[:])
	if !ok {
		i.add(name, Ragged, fmt.Sprintf("it was not closed at %d, where its records end", at))
		return
	}
	if len(bytes.Trim(rest, "\x00")) > 0 && !wasOlder(b, at+trailerSize, num) {
		i.add(name, Idle, fmt.Sprintf("there are bytes behind its end, which is at %d", at))
	}
}

// wasOlder says whether there is a whole chunk of an older log behind the end of this one.
func wasOlder(b []byte, from int, num uint32) bool {
	for at := from; at+trailerSize <= len(b); at++ {
		kind, size := b[at+logTypeAt], trailerSize
		older := binary.LittleEndian.Uint32(b[at+logNumberAt:])
		if kind < trailerType || kind > lastType || older == 0 || older >= num {
			continue
		}
		if kind >= syncedType {
			size = syncedSize
		}
		end := at + size + int(binary.LittleEndian.Uint16(b[at+4:]))
		if end > len(b) || end > (at/logBlock+1)*logBlock {
			continue
		}
		crc := crc32.Checksum(b[at+logTypeAt:end], crc32.MakeTable(crc32.Castagnoli))
		if bits.RotateLeft32(crc, 32-crcShiftRight)+crcDelta == binary.LittleEndian.Uint32(b[at:]) {
			return true
		}
	}
	return false
}

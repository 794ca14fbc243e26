package crashfs_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"testing"

	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
)

const (
	block  = crashfs.BlockSize
	sector = crashfs.SectorSize
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, f diskfs.FS, name string) diskfs.File {
	t.Helper()
	file, err := f.Create(name)
	must(t, err)
	return file
}

func open(t *testing.T, f diskfs.FS, name string) diskfs.File {
	t.Helper()
	file, err := f.Open(name, true)
	must(t, err)
	return file
}

func writeAt(t *testing.T, f diskfs.File, p []byte, off int64) {
	t.Helper()
	n, err := f.WriteAt(p, off)
	if err != nil || n != len(p) {
		t.Fatalf("write of %d bytes at %d: %d, %v", len(p), off, n, err)
	}
}

// content reads a whole file.
func content(t *testing.T, f diskfs.FS, name string) []byte {
	t.Helper()
	file, err := f.Open(name, false)
	must(t, err)
	defer file.Close()
	size, err := file.Size()
	must(t, err)
	buf := make([]byte, size)
	if n, err := file.ReadAt(buf, 0); int64(n) != size || (err != nil && err != io.EOF) {
		t.Fatalf("read of %d bytes: %d, %v", size, n, err)
	}
	return buf
}

func exists(t *testing.T, f diskfs.FS, name string) bool {
	t.Helper()
	_, err := f.Stat(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

// pattern is n bytes that say, every 8 bytes, which write they came from. The id 0 is that of zeros.
func pattern(id uint64, n int) []byte {
	return bytes.Repeat(binary.LittleEndian.AppendUint64(nil, id), (n+7)/8)[:n]
}

// tree is every name with the bytes, holes and reserved space of what it names.
func tree(t *testing.T, f diskfs.FS, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	names, err := f.List(dir)
	must(t, err)
	for _, base := range names {
		name := path.Join(dir, base)
		info, err := f.Stat(name)
		must(t, err)
		if info.IsDir() {
			out[name] = "folder"
			for k, v := range tree(t, f, name) {
				out[k] = v
			}
			continue
		}
		alloc, holes := shape(t, f, name)
		out[name] = fmt.Sprint(alloc, holes, string(content(t, f, name)))
	}
	return out
}

// shape is the space that a file occupies, and the ranges that hold data as pairs of offsets.
func shape(t *testing.T, f diskfs.FS, name string) (alloc int64, data []int64) {
	t.Helper()
	file, err := f.Open(name, false)
	must(t, err)
	defer file.Close()
	alloc, err = file.Allocated()
	must(t, err)
	for off := int64(0); ; {
		from, err := file.SeekData(off)
		if err == io.EOF {
			return alloc, data
		}
		must(t, err)
		off, err = file.SeekHole(from)
		must(t, err)
		data = append(data, from, off)
	}
}

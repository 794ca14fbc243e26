package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/OdyseeTeam/prism/blob"
)

// source is one blob and the file that holds it.
type source struct {
	hash blob.Hash
	size int64
	path string
}

// findBlobs takes every file below dir that is named by the hash of its bytes. Files of other names are passed over;
// files whose bytes do not match their name are left out and returned as bad.
func findBlobs(dir string) (good []source, bad []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		h, err := blob.ParseHash(d.Name())
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		data, err := readAtMost(path, blob.MaxSize+1)
		if err != nil {
			return err
		}
		if _, err := blob.Verify(h, data); err != nil {
			bad = append(bad, fmt.Sprintf("%s: %v", path, err))
			return nil
		}
		good = append(good, source{h, int64(len(data)), path})
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read blobs: %w", err)
	}
	if len(good) == 0 {
		return nil, bad, fmt.Errorf("%s holds no blob: want files named by the SHA-384 of their bytes (96 lower-case hex characters), "+
			"at the top or in folders; %d files have such a name and other bytes", dir, len(bad))
	}
	return good, bad, nil
}

// readAtMost reads the first limit bytes of a file.
func readAtMost(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// smallestFile leaves out files that would make mostly tiny blobs.
const smallestFile = 16 << 10

// makeBlobs cuts real files below the folders of from into blobs of at most 2 MiB, and writes them to dir until they
// are size bytes. Files that cannot be read are passed over.
func makeBlobs(dir string, from []string, size int64) ([]source, error) {
	m := maker{dir: dir, left: size, seen: map[blob.Hash]bool{}, buf: make([]byte, blob.MaxSize)}
	for _, root := range from {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return nil
			}
			if info, err := d.Info(); err != nil || info.Size() < smallestFile {
				return nil
			}
			return m.cut(path)
		})
		if errors.Is(err, fs.SkipAll) || m.left <= 0 {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("make blobs: %w", err)
		}
	}
	if len(m.made) == 0 {
		return nil, fmt.Errorf("no readable file of %d KiB or more below %s: name another folder, or give blobs", smallestFile>>10, strings.Join(from, " "))
	}
	return m.made, nil
}

// maker writes blobs until it has enough.
type maker struct {
	dir  string
	left int64
	seen map[blob.Hash]bool
	buf  []byte
	made []source
}

// cut makes blobs of one file. It returns fs.SkipAll when there are enough.
func (m *maker) cut(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return nil // not ours to read
	}
	defer f.Close()
	for m.left > 0 {
		n, err := io.ReadFull(f, m.buf)
		if n == 0 || err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err := m.keep(m.buf[:n]); err != nil {
			return err
		}
	}
	return fs.SkipAll
}

// keep writes one blob, unless it is there already.
func (m *maker) keep(data []byte) error {
	h := blob.Sum(data)
	if m.seen[h] {
		return nil
	}
	m.seen[h] = true
	path := filepath.Join(m.dir, h.String())
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return err
	}
	m.made = append(m.made, source{h, int64(len(data)), path})
	m.left -= int64(len(data))
	return nil
}

// total is the number of bytes of all blobs.
func total(blobs []source) int64 {
	var n int64
	for _, b := range blobs {
		n += b.size
	}
	return n
}

// unique leaves one of the blobs that a folder holds twice.
func unique(blobs []source) []source {
	slices.SortFunc(blobs, func(a, b source) int { return strings.Compare(a.hash.String(), b.hash.String()) })
	return slices.CompactFunc(blobs, func(a, b source) bool { return a.hash == b.hash })
}

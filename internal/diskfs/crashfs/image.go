package crashfs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// imageFile is the file in a saved image that tells what files and folders cannot: the capacity, and which blocks are
// reserved but hold nothing.
const imageFile = ".crashfs.json"

type image struct {
	Capacity  int64              `json:"capacity"`  // blocks
	Unwritten map[string][]int64 `json:"unwritten"` // file: pairs of first block and number of blocks
}

// Save writes what callers see into a folder of the real file system, made when missing, which should be empty: plain
// files and folders, holes left sparse. Load reads it back. What is not durable is not told apart, so save what Cut
// returned.
func (f *FS) Save(dir string) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	img := image{Capacity: f.capacity, Unwritten: map[string][]int64{}}
	if err := save(f.root, dir, "/", &img); err != nil {
		return fmt.Errorf("crashfs: save: %w", err)
	}
	text, err := json.Marshal(img)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, imageFile), text, 0o644)
	}
	if err != nil {
		return fmt.Errorf("crashfs: save: %w", err)
	}
	return nil
}

func save(n *node, to, name string, img *image) error {
	if n.file != nil {
		if u := n.file.unwrittenRuns(); len(u) > 0 {
			img.Unwritten[name] = u
		}
		return n.file.save(to)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for base, child := range n.folder.now {
		if err := save(child, filepath.Join(to, base), filepath.Join(name, base), img); err != nil {
			return err
		}
	}
	return nil
}

func (c *content) save(to string) (err error) {
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	for i, p := range c.blocks {
		if isData(p) {
			if _, err := out.WriteAt(p[:], int64(i)*BlockSize); err != nil {
				return err
			}
		}
	}
	return out.Truncate(c.size)
}

// unwrittenRuns are pairs of first block and number of blocks.
func (c *content) unwrittenRuns() []int64 {
	var out []int64
	for i, p := range c.blocks {
		switch n := len(out); {
		case p != unwritten:
		case n > 0 && out[n-2]+out[n-1] == int64(i):
			out[n-1]++
		default:
			out = append(out, int64(i), 1)
		}
	}
	return out
}

// Load reads a folder that Save wrote, or any other that holds only files and folders. All of it is durable.
func Load(dir string) (*FS, error) {
	f := New()
	img := image{Capacity: f.capacity}
	text, err := os.ReadFile(filepath.Join(dir, imageFile))
	if err == nil {
		err = json.Unmarshal(text, &img)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err == nil {
		err = f.load(f.root, dir, "/", &img)
	}
	if err != nil {
		return nil, fmt.Errorf("crashfs: load: %w", err)
	}
	f.capacity = img.Capacity
	return f, nil
}

func (f *FS) load(into *node, from, name string, img *image) error {
	names, err := diskfs.OS().List(from)
	if err != nil {
		return err
	}
	for _, base := range names {
		if name == "/" && base == imageFile {
			continue
		}
		path := filepath.Join(from, base)
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		child := f.newNode(info.IsDir())
		child.links, child.mtime = 1, info.ModTime()
		into.folder.now[base], into.folder.disk[base] = child, child
		at := filepath.Join(name, base)
		if info.IsDir() {
			err = f.load(child, path, at, img)
		} else {
			err = child.file.load(path, img.Unwritten[at])
			f.used += child.file.alloc
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *content) load(from string, unwrittenRuns []int64) error {
	in, err := diskfs.OS().Open(from, false)
	if err != nil {
		return err
	}
	defer in.Close()
	if c.size, err = in.Size(); err != nil {
		return err
	}
	for run := range slices.Chunk(unwrittenRuns, 2) {
		if len(run) < 2 || run[0] < 0 || run[1] < 0 || run[0] > blocksFor(c.size)-run[1] {
			return fmt.Errorf("%s: %s: %d are no blocks of a file of %d bytes", imageFile, from, run, c.size)
		}
		for i := range run[1] {
			c.put(run[0]+i, unwritten)
		}
	}
	for off := int64(0); ; {
		if off, err = in.SeekData(off); err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		p := new(page)
		off -= off % BlockSize
		if _, err := in.ReadAt(p[:], off); err != nil && err != io.EOF {
			return err
		}
		c.put(off/BlockSize, p)
		off += BlockSize
	}
	c.diskSize = c.size
	return nil
}

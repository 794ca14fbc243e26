package migrate

import (
	"bufio"
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// refSize is enough for every source to say where a blob is.
const refSize = 49

// ref says where a blob is in the source, which alone reads it.
type ref [refSize]byte

// item is one blob of a plan.
type item struct {
	order uint64 // place in the order of eviction: the lowest goes first
	ref   ref
	size  uint32 // of the payload, as far as it is known
}

// itemSize is an item on disk: order, ref, size.
const itemSize = 8 + refSize + 4

// plan is what the source holds, in the order of eviction. What does not fit its memory lies sorted in files, a run each,
// that are merged when it is read. Nothing of it outlives the process: another one looks anew.
type plan struct {
	fsys  diskfs.FS
	dir   string
	keep  int // items in memory
	items []item
	runs  []run
}

// run is one sorted file.
type run struct {
	file diskfs.File
	size int64
}

// planItems bounds what of a plan is in memory: 16 MiB.
const planItems = 1 << 18

// newPlan makes an empty plan, in a folder that is made when it is needed. What an earlier run left there goes.
func newPlan(fsys diskfs.FS, dir string) (*plan, error) {
	p := &plan{fsys: fsys, dir: dir, keep: planItems}
	return p, p.remove()
}

// add notes a blob.
func (p *plan) add(it item) error {
	p.items = append(p.items, it)
	if len(p.items) < p.keep {
		return nil
	}
	return p.spill()
}

func byOrder(a, b item) int {
	return cmp.Or(cmp.Compare(a.order, b.order), bytes.Compare(a.ref[:], b.ref[:]))
}

// spill writes what is in memory to a file of its own.
func (p *plan) spill() error {
	if err := p.fsys.Mkdir(p.dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("migrate: make %s, where blobs are sorted: %w", p.dir, err)
	}
	path := filepath.Join(p.dir, fmt.Sprintf("run-%06d", len(p.runs)))
	f, err := p.fsys.Create(path)
	if err != nil {
		return fmt.Errorf("migrate: sort: %w", err)
	}
	slices.SortFunc(p.items, byOrder)
	w := bufio.NewWriterSize(io.NewOffsetWriter(f, 0), 1<<20)
	var b [itemSize]byte
	for i := range p.items {
		it := &p.items[i]
		binary.BigEndian.PutUint64(b[:], it.order)
		copy(b[8:], it.ref[:])
		binary.BigEndian.PutUint32(b[8+refSize:], it.size)
		_, _ = w.Write(b[:]) // Flush has the error
	}
	if err := w.Flush(); err != nil {
		return errors.Join(fmt.Errorf("migrate: sort: write %s: %w; name a folder with more room for it", path, err), f.Close())
	}
	p.runs = append(p.runs, run{f, int64(len(p.items)) * itemSize})
	p.items = p.items[:0]
	return nil
}

// each calls fn for every blob in order.
func (p *plan) each(ctx context.Context, fn func(item) error) error {
	slices.SortFunc(p.items, byOrder)
	h := make(merge, 0, len(p.runs)+1)
	for _, r := range p.runs {
		h = append(h, &stretch{from: bufio.NewReaderSize(io.NewSectionReader(r.file, 0, r.size), 64<<10)})
	}
	h = append(h, &stretch{items: p.items})
	for i := 0; i < len(h); {
		switch more, err := h[i].next(); {
		case err != nil:
			return err
		case more:
			i++
		default:
			h = slices.Delete(h, i, i+1)
		}
	}
	heap.Init(&h)
	for len(h) > 0 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := fn(h[0].head); err != nil {
			return err
		}
		more, err := h[0].next()
		if err != nil {
			return err
		}
		if more {
			heap.Fix(&h, 0)
		} else {
			heap.Pop(&h)
		}
	}
	return nil
}

// stretch is what is left of one run, or of what is in memory.
type stretch struct {
	head  item
	from  *bufio.Reader
	items []item
}

// next moves on to the next item, if there is one.
func (s *stretch) next() (bool, error) {
	if s.from == nil {
		if len(s.items) == 0 {
			return false, nil
		}
		s.head, s.items = s.items[0], s.items[1:]
		return true, nil
	}
	var b [itemSize]byte
	if _, err := io.ReadFull(s.from, b[:]); err == io.EOF {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("migrate: read what was sorted: %w", err)
	}
	s.head = item{order: binary.BigEndian.Uint64(b[:]), ref: ref(b[8 : 8+refSize]), size: binary.BigEndian.Uint32(b[8+refSize:])}
	return true, nil
}

// merge is a heap of stretches, the one with the lowest head first.
type merge []*stretch

func (m merge) Len() int           { return len(m) }
func (m merge) Less(i, j int) bool { return byOrder(m[i].head, m[j].head) < 0 }
func (m merge) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }

// Push is heap.Interface's; nothing is pushed.
func (m *merge) Push(x any) { *m = append(*m, x.(*stretch)) }

// Pop is heap.Interface's.
func (m *merge) Pop() any {
	last := len(*m) - 1
	x := (*m)[last]
	*m = (*m)[:last]
	return x
}

// close ends the plan, and removes its files.
func (p *plan) close() error {
	var err error
	for _, r := range p.runs {
		err = errors.Join(err, r.file.Close())
	}
	p.runs, p.items = nil, nil
	return errors.Join(err, p.remove())
}

// remove removes the folder with the runs in it, and nothing else: a folder of that name with other things is not ours.
func (p *plan) remove() error {
	names, err := p.fsys.List(p.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, name := range names {
		if ok, _ := filepath.Match("run-??????", name); ok {
			err = errors.Join(err, p.fsys.Remove(filepath.Join(p.dir, name)))
		}
	}
	if err = errors.Join(err, p.fsys.Remove(p.dir)); err != nil {
		return fmt.Errorf("migrate: remove %s: %w", p.dir, err)
	}
	return nil
}

package crashfs

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
)

// Report counts what a power cut did to what was not durable. Blocks are those of files that are still there.
type Report struct {
	Seed uint64

	BlocksKept    int // at their latest version
	BlocksDropped int // at the version that was durable
	BlocksOlder   int // at an unsynced version that is not the latest
	BlocksTorn    int // a mixture of two versions by sector
	BlocksZeroed  int // of those dropped: zeros where there had been a hole

	ChangesKept    int // lengths, preallocations, punches and truncations
	ChangesDropped int
	NamesKept      int // creations, renames and removals; a rename between two folders counts in both
	NamesDropped   int
}

// Lost says whether the cut lost anything.
func (r Report) Lost() bool {
	return r.BlocksDropped+r.BlocksOlder+r.BlocksTorn+r.ChangesDropped+r.NamesDropped > 0
}

// Add adds the counts of another cut.
func (r *Report) Add(o Report) {
	r.BlocksKept += o.BlocksKept
	r.BlocksDropped += o.BlocksDropped
	r.BlocksOlder += o.BlocksOlder
	r.BlocksTorn += o.BlocksTorn
	r.BlocksZeroed += o.BlocksZeroed
	r.ChangesKept += o.ChangesKept
	r.ChangesDropped += o.ChangesDropped
	r.NamesKept += o.NamesKept
	r.NamesDropped += o.NamesDropped
}

// String is the report on one line.
func (r Report) String() string {
	return fmt.Sprintf("seed %d: blocks kept %d, dropped %d (%d as zeros), older %d, torn %d; "+
		"changes kept %d, dropped %d; names kept %d, dropped %d", r.Seed,
		r.BlocksKept, r.BlocksDropped, r.BlocksZeroed, r.BlocksOlder, r.BlocksTorn,
		r.ChangesKept, r.ChangesDropped, r.NamesKept, r.NamesDropped)
}

// Cut gives the file system as a disk might hold it if the power failed now, and what was lost. All of the clone is
// durable; it has the original's capacity, but none of its hook, count of calls, locks, open files and bad blocks. The
// original is not changed and can be cut again; Freeze it when it should not go on.
//
// The choices depend on the seed and on the order in which the files and folders were made.
func (f *FS) Cut(seed uint64) (*FS, Report) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	c := &cut{
		from: f, to: &FS{inodes: f.inodes, capacity: f.capacity, locks: map[*node]bool{}},
		report: Report{Seed: seed},
	}
	c.chooseNames()
	c.to.root = c.node(f.root)
	return c.to, c.report
}

// cut is a power cut under way.
type cut struct {
	from, to *FS
	keep     map[*folder]int // how many operations of each folder's log survive
	report   Report
}

// rand is the source of choices about one file or folder: they do not depend on those about others.
func (c *cut) rand(n *node) *rand.Rand { return rand.New(rand.NewPCG(c.report.Seed, n.ino)) }

// prefix chooses how many of n things in order survive; none and all are likely, as they are at a power cut.
func prefix(r *rand.Rand, n int) int {
	switch r.IntN(4) {
	case 0:
		return 0
	case 1:
		return n
	}
	return r.IntN(n + 1)
}

// chooseNames settles how much of each folder's log survives.
func (c *cut) chooseNames() {
	c.keep = map[*folder]int{}
	folders := foldersUnder(c.from.root)
	for _, n := range folders {
		c.keep[n.folder] = prefix(c.rand(n), len(n.folder.log))
	}
	// A rename between two folders survives in both or in neither. Every pass only shortens, so this ends.
	for again := true; again; {
		again = false
		for _, n := range folders {
			if k := c.together(n.folder); k < c.keep[n.folder] {
				c.keep[n.folder] = k
				again = true
			}
		}
	}
	for _, n := range folders {
		c.report.NamesKept += c.keep[n.folder]
		c.report.NamesDropped += len(n.folder.log) - c.keep[n.folder]
	}
}

// together is how much of a folder's prefix agrees with those of the folders that it shares operations with.
func (c *cut) together(f *folder) int {
	for i, op := range f.log[:c.keep[f]] {
		for _, g := range op.folders() {
			if g != f && slices.Index(g.log, op) >= c.keep[g] {
				return i
			}
		}
	}
	return c.keep[f]
}

// foldersUnder finds every folder that is, was or may be in the tree, oldest first.
func foldersUnder(root *node) []*node {
	seen := map[*node]bool{}
	var visit func(*node)
	visit = func(n *node) {
		if n == nil || n.folder == nil || seen[n] {
			return
		}
		seen[n] = true
		for _, child := range n.folder.disk {
			visit(child)
		}
		for _, op := range n.folder.log {
			for _, s := range op.steps {
				visit(s.to)
			}
		}
	}
	visit(root)
	return slices.SortedFunc(maps.Keys(seen), func(a, b *node) int { return cmp.Compare(a.ino, b.ino) })
}

// node makes the surviving form of a file, or of a folder and all that is in it.
func (c *cut) node(n *node) *node {
	out := &node{ino: n.ino, links: 1, mtime: n.mtime}
	if n.file != nil {
		out.file = c.content(n)
		c.to.used += out.file.alloc
		return out
	}
	names := maps.Clone(n.folder.disk)
	for _, op := range n.folder.log[:c.keep[n.folder]] {
		op.apply(n.folder, names)
	}
	out.folder = newFolder()
	for name, child := range names {
		out.folder.now[name] = c.node(child)
	}
	out.folder.disk = maps.Clone(out.folder.now)
	return out
}

// content makes the surviving form of a file's bytes.
func (c *cut) content(n *node) *content {
	f, r := n.file, c.rand(n)
	kept := prefix(r, len(f.changes))
	c.report.ChangesKept += kept
	c.report.ChangesDropped += len(f.changes) - kept
	size, upto := f.diskSize, f.settled
	if kept > 0 {
		size, upto = f.changes[kept-1].size, f.changes[kept-1].seq
	}

	out := &content{size: size, blocks: slices.Clone(f.blocks), alloc: f.alloc}
	pick := newPicker(r, len(f.dirty), &c.report)
	for _, i := range slices.Sorted(maps.Keys(f.dirty)) {
		out.put(i, pick.block(f.dirty[i].versions(upto)))
	}
	out.trim()
	out.diskSize = size
	return out
}

// versions are those that the block may have after a power cut that kept the changes up to a number: first the one that
// is there if no write survives, then those of the writes, oldest first.
func (h *history) versions(upto uint64) []*page {
	out := []*page{h.base}
	for _, e := range h.events {
		switch {
		case !e.journaled:
			out = append(out, e.page)
		case e.seq <= upto:
			out = append(out[:0], e.page)
		default:
			return out // what came later went into blocks that this change would have reserved or freed
		}
	}
	return out
}

// trim takes away what lies beyond the end, which no file system shows again when the file grows.
func (c *content) trim() {
	for i := blocksFor(c.size); i < int64(len(c.blocks)); i++ {
		c.put(i, nil)
	}
	c.blocks = c.blocks[:min(int64(len(c.blocks)), blocksFor(c.size))]
	last, within := c.size/BlockSize, c.size%BlockSize
	if p := c.block(last); within > 0 && isData(p) {
		fresh := *p
		clear(fresh[within:])
		c.blocks[last] = &fresh
	}
}

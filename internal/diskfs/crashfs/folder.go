package crashfs

import "slices"

// folder holds names: as callers see them, and what a power cut may leave of them.
type folder struct {
	now  map[string]*node
	disk map[string]*node // what is durable
	log  []*dirOp         // what happened since then, oldest first; disk with all of log is now
}

func newFolder() *folder {
	return &folder{now: map[string]*node{}, disk: map[string]*node{}}
}

// dirOp is one operation on names. It is kept or lost whole. A rename between two folders is in the log of both.
type dirOp struct {
	steps []dirStep
}

type dirStep struct {
	in   *folder
	name string
	to   *node // nil removes the name
}

// apply does those steps that concern a folder.
func (op *dirOp) apply(in *folder, names map[string]*node) {
	for _, s := range op.steps {
		switch {
		case s.in != in:
		case s.to == nil:
			delete(names, s.name)
		default:
			names[s.name] = s.to
		}
	}
}

// do makes an operation seen, and notes it as not durable.
func do(steps ...dirStep) {
	op := &dirOp{steps: steps}
	for _, f := range op.folders() {
		op.apply(f, f.now)
		f.log = append(f.log, op)
	}
}

// folders are the one or two that an operation concerns.
func (op *dirOp) folders() []*folder {
	var out []*folder
	for _, s := range op.steps {
		if !slices.Contains(out, s.in) {
			out = append(out, s.in)
		}
	}
	return out
}

// commit makes the first n operations durable, and in other folders what has to come with them.
func (f *folder) commit(n int) {
	ops := f.log[:n:n]
	f.log = f.log[n:]
	for _, op := range ops {
		for _, g := range op.folders() {
			if i := slices.Index(g.log, op); i >= 0 {
				g.commit(i + 1)
			}
		}
		op.apply(f, f.disk)
	}
}

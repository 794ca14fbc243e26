package enginetest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
)

// Walked is what the cuts of sequences came to.
type Walked struct {
	Sequences int
	Syncs     int // calls that made a file or a folder durable
	Moments   int // at which the power was cut: before and after each of them, and at the end
	Cuts      int // one a seed at each moment
	Report    crashfs.Report
	Verdict   Verdict
}

// Add adds the counts of another sequence.
func (w *Walked) Add(o Walked) {
	w.Sequences += o.Sequences
	w.Syncs += o.Syncs
	w.Moments += o.Moments
	w.Cuts += o.Cuts
	w.Report.Add(o.Report)
	w.Verdict.Add(o.Verdict)
}

// moment is a disk at which the power was cut, in each of the ways that the seeds choose.
type moment struct {
	what   string
	states map[int]State
	disks  []*crashfs.FS
	report []crashfs.Report
}

// Walk plays a sequence, cuts the power beside every sync of its last step and once the engine has come to rest after
// it, and holds every disk to what was promised at its moment. The steps before the last one are the last of a shorter
// sequence: the engine is at rest between them.
func (k *Kit) Walk(ctx context.Context, s Sequence, seeds int) (Walked, error) {
	start := k.starts[Sequence{Start: s.Start, Sync: s.Sync}.String()]
	fs := &syncFS{FS: copyOf(start.disk)}
	p := k.player(s, fs.FS.(*crashfs.FS), fs, start.states)
	w := &walk{player: p, seeds: seeds}
	last := p.open
	var before []func(context.Context) error
	for _, step := range s.Steps {
		before = append(before, last)
		last = p.step(step)
	}
	err := p.do(ctx, before...)
	fs.watch(w.beside)
	if err == nil {
		err = p.do(ctx, last)
	}
	fs.watch(nil)
	w.mu.Lock()
	w.cut("at the end")
	w.mu.Unlock()
	if p.e != nil {
		err = errors.Join(err, p.e.Close())
	}
	if err != nil {
		return w.Walked, fmt.Errorf("%v: %w", s, err)
	}
	w.Sequences = 1
	return w.Walked, w.verify(ctx, s)
}

// walk is a walk under way.
type walk struct {
	Walked
	*player
	seeds int

	mu      sync.Mutex
	moments []moment
	ops     int // write-side calls up to the last moment
	version int // of the model at the last moment
}

// beside cuts the power before or after a sync, unless nothing has happened since the cut after the one before.
func (w *walk) beside(after bool, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if after {
		w.Syncs++
		w.cut(fmt.Sprintf("after sync %d, of %s", w.Syncs, name))
		return
	}
	if len(w.moments) == 0 || w.disk.Ops() != w.ops || w.model.changes() != w.version {
		w.cut(fmt.Sprintf("before sync %d, of %s", w.Syncs+1, name))
	}
}

// cut takes the disks of a moment, one a seed.
func (w *walk) cut(what string) {
	w.version, w.ops = w.model.changes(), w.disk.Ops()
	m := moment{what: what, states: w.model.snapshot()}
	for seed := range w.seeds {
		disk, report := w.disk.Cut(uint64(len(w.moments)*w.seeds + seed))
		disk.SetCapacity(0) // an eviction that is due goes on in the original; here what was promised is looked at
		m.disks, m.report = append(m.disks, disk), append(m.report, report)
	}
	w.moments = append(w.moments, m)
}

// verify holds every disk to its promise.
func (w *walk) verify(ctx context.Context, s Sequence) error {
	w.Moments = len(w.moments)
	for _, m := range w.moments {
		for i, disk := range m.disks {
			w.Cuts++
			w.Report.Add(m.report[i])
			p := Promise{Options: sequenceOptions(nil, s.Sync), Blobs: w.blobs, States: m.states}
			verdict, err := verify(ctx, fmt.Sprintf("%v, %s (%v)", s, m.what, m.report[i]), sequenceRun, p, disk)
			w.Verdict.Add(verdict)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// syncFS tells of each sync of a file or folder, before and after it.
type syncFS struct {
	diskfs.FS
	mu   sync.Mutex
	tell func(after bool, name string)
}

// watch sets who is told; nil: nobody.
func (f *syncFS) watch(tell func(after bool, name string)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tell = tell
}

func (f *syncFS) beside(name string, sync func() error) error {
	f.mu.Lock()
	tell := f.tell
	f.mu.Unlock()
	if tell == nil {
		return sync()
	}
	tell(false, name)
	err := sync()
	tell(true, name)
	return err
}

// SyncDir is a sync.
func (f *syncFS) SyncDir(dir string) error {
	return f.beside(dir, func() error { return f.FS.SyncDir(dir) })
}

// Create makes a file whose syncs are told of.
func (f *syncFS) Create(name string) (diskfs.File, error) {
	file, err := f.FS.Create(name)
	if err != nil {
		return nil, err
	}
	return &syncFile{file, f, name}, nil
}

// Open opens a file whose syncs are told of.
func (f *syncFS) Open(name string, write bool) (diskfs.File, error) {
	file, err := f.FS.Open(name, write)
	if err != nil {
		return nil, err
	}
	return &syncFile{file, f, name}, nil
}

type syncFile struct {
	diskfs.File
	fs   *syncFS
	name string
}

// Sync is a sync.
func (f *syncFile) Sync() error { return f.fs.beside(f.name, f.File.Sync) }

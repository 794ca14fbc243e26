package enginetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/engine"
	"github.com/OdyseeTeam/prism/internal/diskfs/crashfs"
	"github.com/OdyseeTeam/prism/segments"
)

// AnswerTime is far more than any call of the engine may take on a disk that fails.
const AnswerTime = 30 * time.Second

// Trial is one run of a scenario on a disk whose n-th call meets a fault.
type Trial struct {
	Scenario Scenario
	Fault    Fault
	Nth      int

	fs     *crashfs.FS
	inj    *Injector
	eng    *engine.Engine
	model  *Model
	errs   []error      // what the calls returned
	stats  engine.Stats // of the engine, at its end
	missed map[int]bool // blobs that were a miss and should be there, though a fault was counted
	adrift map[int]bool // blobs whose Put ended with its context: it goes on, and may come after a Delete
	held   int          // calls that ended while the disk held one up
}

// Result is what a trial has shown.
type Result struct {
	Hit   bool       // the n-th call came
	First crashfs.Op // that call
	Count int        // calls that the fault applies to
	Lost  int        // records that failed reads had touched, and that are gone
}

func (t *Trial) String() string {
	return fmt.Sprintf("%s, %v, call %d", t.Scenario.Name, t.Fault, t.Nth)
}

// Run runs the scenario and holds what comes of it to what must hold: every call returns; the fault shows in what one of
// them returned or in a metric; nothing wrong is served; and on the healed disk the next engine has all that was
// promised, but for records that failed reads had touched.
func (t *Trial) Run(ctx context.Context) (Result, error) {
	t.model, t.missed, t.adrift = newModel(), map[int]bool{}, map[int]bool{}
	if err := t.prepare(ctx); err != nil {
		return Result{}, fmt.Errorf("%s: prepare: %w", t.Scenario.Name, err)
	}
	t.inj = Inject(t.fs, t.Fault, t.Nth)
	err := t.within("the scenario", func() error { return t.Scenario.steps(ctx, t) })
	hits := t.inj.Hits()
	t.inj.Heal()
	res := Result{Hit: len(hits) > 0, Count: t.inj.Count()}
	if res.Hit {
		res.First = hits[0]
	}
	if err == nil {
		err = t.mustShow(hits)
	}
	if err == nil {
		res.Lost, err = t.healed(ctx, hits)
	}
	t.fs.Discard()
	if err != nil {
		err = fmt.Errorf("%v (%s): %w; the calls returned %v, the faults counted were %v",
			t, describe(hits), err, t.errs, t.stats.IOErrors)
	}
	return res, err
}

func describe(hits []crashfs.Op) string {
	if len(hits) == 0 {
		return "no call"
	}
	return fmt.Sprintf("%s and %d more", opName(hits[0]), len(hits)-1)
}

func (t *Trial) prepare(ctx context.Context) error {
	t.fs = crashfs.New()
	if err := errors.Join(t.fs.Mkdir(Dir), t.fs.SyncDir("/")); err != nil {
		return err
	}
	if t.Scenario.prepare == nil {
		return nil
	}
	return t.Scenario.prepare(ctx, t)
}

// errUnexcused marks what no fault excuses.
var errUnexcused = errors.New("the engine is wrong")

// errHang means that a call did not return.
var errHang = errors.New("it hangs")

// within demands that f ends.
func (t *Trial) within(what string, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	timeout := time.NewTimer(4 * AnswerTime)
	defer timeout.Stop()
	select {
	case err := <-done:
		return err
	case <-timeout.C:
		return fmt.Errorf("%s: %w", what, errHang)
	}
}

// patient makes a call that may wait for the disk as long as the disk takes: one that is held up is released.
func (t *Trial) patient(what string, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	if t.inj != nil {
		select {
		case err := <-done:
			return t.note(what, err)
		case <-t.inj.stalled:
			t.inj.Release()
		}
	}
	select {
	case err := <-done:
		return t.note(what, err)
	case <-time.After(AnswerTime):
		return fmt.Errorf("%w: %s: %w", errUnexcused, what, errHang)
	}
}

// heldCalls is how many calls are made while the disk holds one up, before it is released.
const heldCalls = 3

// heldTime is what a call gets that begins while the disk holds another one up.
const heldTime = 20 * time.Millisecond

// bounded makes a call that must end with its context, whatever the disk does. The context ends when the disk begins to
// hold a call up, or after heldTime when it does already.
func (t *Trial) bounded(ctx context.Context, what string, f func(context.Context) error) error {
	if t.Fault.Err != nil || t.inj == nil || t.held >= heldCalls {
		return t.patient(what, func() error { return f(ctx) })
	}
	ctx, cancel := context.WithTimeout(ctx, AnswerTime)
	defer cancel()
	held := false
	select {
	case <-t.inj.stalled:
		held = true
		ctx, cancel = context.WithTimeout(ctx, heldTime)
		defer cancel()
	default:
	}
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	if !held {
		select {
		case err := <-done:
			return t.note(what, err)
		case <-t.inj.stalled:
			cancel()
		}
	}
	if t.own(what) {
		t.inj.Release()
	}
	select {
	case err := <-done:
		if t.held++; t.held == heldCalls {
			t.inj.Release()
		}
		return t.note(what, err)
	case <-time.After(AnswerTime):
		t.inj.Release()
		return fmt.Errorf("%w: %s does not end with its context while the disk does not answer", errUnexcused, what)
	}
}

// own says whether the call that is held up may be one that a Put makes itself: a look-up, or the writing of its bytes,
// which are its caller's.
func (t *Trial) own(what string) bool {
	op := t.inj.Hits()[0]
	return strings.HasPrefix(what, "put") &&
		(slices.Contains(crashfs.ReadKinds(), op.Kind) || op.Kind == crashfs.OpWrite && filepath.Ext(op.Path) == ".seg")
}

// note keeps an error that a call returned. Only one that no fault excuses is given back.
func (t *Trial) note(what string, err error) error {
	if err == nil || errors.Is(err, blob.ErrNotFound) {
		return nil
	}
	if errors.Is(err, errUnexcused) {
		return fmt.Errorf("%s: %w", what, err)
	}
	t.errs = append(t.errs, fmt.Errorf("%s: %w", what, err))
	return nil
}

// mustShow demands that a fault can be seen from outside.
func (t *Trial) mustShow(hits []crashfs.Op) error {
	if len(hits) == 0 || t.Fault.Err == nil {
		if n := t.faultsCounted(); n > 0 || t.stats.IndexFailed || len(t.errs) > t.held {
			return errors.New("no call failed, and faults are told of")
		}
		return nil
	}
	if len(t.errs) > 0 || t.faultsCounted() > 0 || t.stats.IndexFailed {
		return nil
	}
	for _, op := range hits {
		if !t.silent(op) {
			return fmt.Errorf("%s failed, and nothing tells of it", opName(op))
		}
	}
	return nil
}

func (t *Trial) faultsCounted() int64 {
	n := t.stats.Pebble.IOErrors
	for _, k := range t.stats.IOErrors {
		n += k
	}
	return n
}

// silent says whether a fault may pass without a trace.
func (t *Trial) silent(op crashfs.Op) bool {
	var short crashfs.Short
	switch {
	case op.Kind == crashfs.OpRead && errors.As(t.Fault.Err, &short) && filepath.Ext(op.Path) == ".log":
		return true // a log that ends early is what every power cut leaves: recovery finds what it lacks
	case op.Kind == crashfs.OpClose && !strings.HasSuffix(op.Path, ".seg"):
		return true // of a file that was read only: guardfs and mount see to the others
	}
	return false
}

// healed opens the disk again, now that it is good: every other time as a power cut would leave it.
func (t *Trial) healed(ctx context.Context, hits []crashfs.Op) (lost int, err error) {
	disk := t.fs
	if t.Nth%2 == 1 {
		disk, _ = t.fs.Cut(uint64(t.Nth))
		defer disk.Discard()
	} else {
		disk.SetHook(nil)
		disk.SetReadHook(nil)
	}
	if t.Fault.Err == nil {
		hits = nil // a call that was held up was made in the end: that excuses nothing
	}
	touched, err := t.touched(disk, hits)
	if err != nil {
		return 0, err
	}
	p := Promise{Options: t.options(disk), States: t.model.snapshot(), Evicting: t.Scenario.Evicting}
	for i := range t.Scenario.Blobs {
		p.Blobs = append(p.Blobs, t.Scenario.blob(i))
	}
	excused := map[int]bool{}
	for i, s := range p.States {
		if s == Durable && (touched[p.Blobs[i].Hash()] || t.missed[i] && readFailed(hits)) {
			p.States[i] = Maybe
			excused[i] = true
		}
		if s == Absent && t.rebuilt(disk) {
			p.States[i] = Maybe // tombstones went with the index
		}
	}
	found, _, err := p.Verify(ctx)
	if err != nil {
		return 0, fmt.Errorf("on the healed disk: %w", err)
	}
	for i := range excused {
		if !t.Scenario.Evicting && !slices.Contains(found, i) {
			lost++
		}
	}
	return lost, nil
}

// rebuilt says whether an index lies in quarantine.
func (t *Trial) rebuilt(disk *crashfs.FS) bool {
	names, err := disk.List(filepath.Join(Dir, "quarantine"))
	return err == nil && slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "index") })
}

// readFailed says whether a read of a segment failed.
func readFailed(hits []crashfs.Op) bool {
	return slices.ContainsFunc(hits, func(op crashfs.Op) bool {
		return filepath.Ext(op.Path) == ".seg" && slices.Contains(crashfs.ReadKinds(), op.Kind)
	})
}

// touched is the blobs whose records failed reads have touched: the disk said that it cannot give them, and they may be
// gone. A look at the whole file, or at its header, touches all of its records.
func (t *Trial) touched(disk *crashfs.FS, hits []crashfs.Op) (map[blob.Hash]bool, error) {
	out := map[blob.Hash]bool{}
	for _, dir := range []string{"segments", "quarantine"} {
		names, err := disk.List(filepath.Join(Dir, dir))
		if err != nil {
			continue // the mount was never made
		}
		for _, name := range names {
			ops := readsOf(hits, name)
			if len(ops) == 0 {
				continue
			}
			if err := touchedIn(disk, filepath.Join(Dir, dir, name), ops, out); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// readsOf is the read-side calls on a segment, wherever it lies now.
func readsOf(hits []crashfs.Op, name string) []crashfs.Op {
	var out []crashfs.Op
	for _, op := range hits {
		base := filepath.Base(op.Path)
		if strings.HasSuffix(base, ".seg") && strings.HasPrefix(name, base) && slices.Contains(crashfs.ReadKinds(), op.Kind) {
			out = append(out, op)
		}
	}
	return out
}

func touchedIn(disk *crashfs.FS, path string, ops []crashfs.Op, out map[blob.Hash]bool) error {
	f, err := disk.Open(path, false)
	if err != nil {
		return err
	}
	head := make([]byte, segments.HeaderSize)
	n, err := f.ReadAt(head, 0)
	if cerr := f.Close(); err != nil && err != io.EOF || cerr != nil {
		return errors.Join(err, cerr)
	}
	h, err := segments.ParseHeader(head[:n])
	if err != nil {
		return nil // it holds no record
	}
	s := segments.At(disk, path, h.Mount, h.ID)
	_, err = s.Scan(0, func(rec segments.Record) error {
		slot := segments.HeaderSize + int64(rec.Slot)*segments.SlotSize
		for _, op := range ops {
			if touches(op, slot, segments.SlotSize) || touches(op, rec.Offset, segments.Blocks(rec.Length)) {
				out[rec.Hash] = true
			}
		}
		return nil
	})
	return errors.Join(err, s.Close())
}

// touches says whether a call on the file of a record looks at [off, off+n).
func touches(op crashfs.Op, off, n int64) bool {
	switch op.Kind {
	case crashfs.OpRead:
		return op.Off < segments.HeaderSize || op.Off < off+n && off < op.Off+op.Len
	case crashfs.OpSeek:
		return op.Off < off+n
	}
	return true
}

// Add counts calls.
func Add(to, calls map[crashfs.Kind]int) {
	for k, n := range maps.All(calls) {
		to[k] += n
	}
}

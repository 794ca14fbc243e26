package migrate

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/bufpool"
)

// Migration is one run.
type Migration struct {
	o        Options
	from, to string // absolute, links resolved
	inside   bool   // to lies inside of from
	sameDisk bool

	src   source
	dst   destination
	plan  *plan
	bufs  *bufpool.Pool
	lanes *blob.Lanes // the workers hash side by side
	pace  pace
	batch int64 // payload that is made durable, and then freed, at once
	land  *landing
	count counters
}

// New checks the options; it touches no disk.
func New(o Options) (*Migration, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	m := &Migration{o: o, bufs: bufpool.New(blob.MaxSize, o.Workers), lanes: blob.NewLanes(), pace: pace{perSecond: o.MaxRate}}
	m.count.setPhase(Looking)
	return m, nil
}

// Run moves the blobs. It is called once. The report says what became of them, after an error too: the same run again goes
// on from there. Errors: ErrPlaces, ErrRoom, a wrapped *diskfs.LockedError where the destination, or with Move the source,
// is in use, what the stores refuse, and whatever fails that is not one blob's.
func (m *Migration) Run(ctx context.Context) (Report, error) {
	began := time.Now()
	err := m.run(ctx)
	m.count.setPhase(Done)
	return m.report(began), err
}

func (m *Migration) run(ctx context.Context) (err error) {
	if err = m.settle(); err != nil {
		return err
	}
	if m.src, err = m.openSource(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.src.close()) }()
	if m.dst, err = m.openDestination(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.dst.Close()) }()
	if m.plan, err = newPlan(m.o.FS, m.planDir()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.plan.close()) }()
	err = m.src.scan(ctx, func(it item) error {
		m.count.found.Add(1)
		m.count.foundBytes.Add(int64(it.size))
		return m.plan.add(it)
	})
	if err != nil {
		return fmt.Errorf("migrate: look at %s: %w", m.o.From, err)
	}
	if err := m.mustFit(); err != nil {
		return err
	}
	m.count.setPhase(Moving)
	if err := m.transfer(ctx); err != nil {
		return err
	}
	if m.o.Move {
		return m.src.finish()
	}
	return nil
}

// planDir is hidden: it may lie beside blobs.
func (m *Migration) planDir() string {
	parent := m.o.Temp
	if parent == "" {
		parent = filepath.Dir(m.to)
	}
	return filepath.Join(parent, ".fsck-migrate-"+filepath.Base(m.to))
}

package check

import (
	"context"
	"path/filepath"

	"github.com/OdyseeTeam/prism/index"
	"github.com/OdyseeTeam/prism/internal/diskfs/pebblefs"
)

// inspectIndex begins to read the files of the index, when payloads are read too, while all else goes on: who opens the index
// here changes none of them. end waits until all are read, and ends it early where there is an error already; then it makes
// findings, for which the index is to be open still. It gives that error, or its own.
func (c *checker) inspectIndex(ctx context.Context) (end func(error) error) {
	if c.served != nil || !c.o.readsPayloads() {
		return func(err error) error { return err }
	}
	var flaws []index.Flaw
	var failed error
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		flaws, failed = index.Inspect(ctx, pebblefs.New(c.fsys), c.mnt.IndexDir())
	}()
	return func(err error) error {
		defer stop()
		if err != nil {
			stop()
		}
		<-done
		switch {
		case err != nil:
			return err
		case failed == nil:
			return c.judgeFlaws(flaws)
		case c.lost && isDamage(failed): // whoever opened the index has said so
			return nil
		}
		return c.indexError(failed)
	}
}

// judgeFlaws makes findings of what was wrong with the files, when the index was opened. A table that it does not use
// is not needed any more: a run that was cut short left it behind, and the next one removes it. A log without its end is
// what any run leaves that did not end in good order.
func (c *checker) judgeFlaws(flaws []index.Flaw) error {
	if len(flaws) == 0 {
		return nil
	}
	used := func(string) bool { return true } // as far as is known, when the index cannot be opened
	if c.ix != nil {
		tables, err := c.ix.Tables()
		if err != nil {
			return c.indexError(err)
		}
		used = func(name string) bool { return tables[name] }
	}
	for _, f := range flaws {
		path := filepath.Join(c.mnt.IndexDir(), f.File)
		switch {
		case (f.Kind == index.Ragged || f.Kind == index.IdleRagged) && !c.rep.GoodStop:
		case f.Kind == index.Idle || f.Kind == index.IdleRagged:
			c.find(StrayBytes, 0, "%s: %s", path, f.What)
		case f.Table && !used(f.File):
		default:
			c.find(Index, 0, "%s: %s", path, f.What)
		}
	}
	return nil
}

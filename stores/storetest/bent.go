package storetest

import (
	"context"
	"sync/atomic"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores"
)

// Bent is a store whose calls a test may let fail. It hides the optional interfaces of the store in it.
type Bent struct {
	stores.Store
	fault atomic.Pointer[error]
	Calls atomic.Int64 // that came, failed or not
}

// Bend makes a store that works until Fail is called.
func Bend(s stores.Store) *Bent { return &Bent{Store: s} }

// Fail lets every call fail with err from now on; nil lets them through again.
func (b *Bent) Fail(err error) { b.fault.Store(&err) }

// error counts a call, and is what it fails with.
func (b *Bent) error() error {
	b.Calls.Add(1)
	if p := b.fault.Load(); p != nil {
		return *p
	}
	return nil
}

// Has implements stores.Store.
func (b *Bent) Has(ctx context.Context, h blob.Hash) (bool, error) {
	if err := b.error(); err != nil {
		return false, err
	}
	return b.Store.Has(ctx, h)
}

// Get implements stores.Store.
func (b *Bent) Get(ctx context.Context, h blob.Hash) (blob.Handle, error) {
	if err := b.error(); err != nil {
		return nil, err
	}
	return b.Store.Get(ctx, h)
}

// Put implements stores.Store.
func (b *Bent) Put(ctx context.Context, v blob.Verified, kind blob.Kind) error {
	if err := b.error(); err != nil {
		return err
	}
	return b.Store.Put(ctx, v, kind)
}

// Delete implements stores.Store.
func (b *Bent) Delete(ctx context.Context, h blob.Hash) error {
	if err := b.error(); err != nil {
		return err
	}
	return b.Store.Delete(ctx, h)
}

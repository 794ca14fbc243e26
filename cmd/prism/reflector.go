package main

import (
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/compose"
)

// reflectorCommand is the reflector command.
type reflectorCommand struct {
	ReceiverPort     int  `default:"5566" placeholder:"PORT" help:"Port on which uploaders send blobs (5566)."`
	MetricsPort      int  `default:"2112" placeholder:"PORT" help:"Port for /metrics and /debug/pprof (2112)."`
	DisableBlocklist bool `help:"Do not fetch the list of blocked blobs."`
}

// Run takes blobs in and serves them, until a signal.
func (r reflectorCommand) Run(flags *commandLine) error {
	if err := checkPort("--receiver-port", r.ReceiverPort); err != nil {
		return err
	}
	p, err := prepare("reflector", r.MetricsPort, flags)
	if err != nil {
		return err
	}
	p.noBlocklist = r.DisableBlocklist
	return p.run(func(p *program) ([]*front, error) {
		p.warnOfPromises()
		fronts, err := configured(p)
		if err != nil {
			return fronts, err
		}
		f, err := p.receiver(r.ReceiverPort)
		if err != nil {
			return fronts, err
		}
		return append(fronts, f), nil
	})
}

// warnOfPromises says where receipts promise more than the store does.
func (p *program) warnOfPromises() {
	store := p.plan.tree.Store()
	if why := stores.VolatileOf(store); why != "" {
		p.log.Warn("RECEIPTS ARE NOT SAFE: an uploader is told that a blob is stored, and deletes its own, before it would survive a power cut", "why", why)
	}
	eachWriter(p.plan.tree.Root, func(w *compose.Part) {
		if w.Kind == "disk" {
			p.log.Warn("uploads go to a disk: once it is full its oldest blobs make room, receipts or not", "store", w.Store().Name())
		}
	})
	_, blocks := stores.As[stores.Blocker](store)
	switch {
	case !blocks && p.blocked == nil:
		p.log.Warn("this store cannot block blobs, and the block list is off: whatever is uploaded is taken")
	case !blocks:
		p.log.Warn("this store cannot block blobs: uploads are refused by the block list alone, and a blob that leaves the list is taken again")
	}
}

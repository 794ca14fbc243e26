package main

// blobcache is the blobcache command.
type blobcache struct {
	MetricsPort      int  `default:"2112" placeholder:"PORT" help:"Port for /metrics and /debug/pprof (2112)."`
	DisableBlocklist bool `help:"Do not fetch the list of blocked blobs."`
}

// Run checks everything, opens the stores, listens, serves until a signal, and drains.
func (b blobcache) Run(flags *commandLine) error {
	p, err := prepare("blobcache", b.MetricsPort, flags)
	if err != nil {
		return err
	}
	p.noBlocklist = b.DisableBlocklist
	return p.run(configured)
}

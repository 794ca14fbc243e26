// Command tryout shows Prism at work on one machine, for `make run`: it packs a real file into a stream and uploads that
// into a segment store or an S3 server; takes a folder of blobs, or cuts real files into blobs; starts a reflector over
// the same store and sends every blob in over the reflector protocol; starts a blobcache in front of it and reads every
// blob back over HTTP, HTTP/3 and the peer protocol; compares every body with its name; fetches the stream over each
// protocol and compares the file; prints a table; and leaves all of it running until it is interrupted. Then fsck looks at
// the mounts.
//
// What it makes stands in one temporary folder, which is removed at the end; what it starts, it stops by process id.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// options are the command line.
type options struct {
	prism       string // the built prism
	conf        string // folder of the programs' configurations
	blobs       string // folder of blobs; empty to make some
	from        string // folders of real files to cut, separated by colons
	size        int64  // bytes to make
	httpPort    int    // 0 for a free one
	metricsPort int    // 0 for a free one
	gateway     string // the built S3 server; empty to keep the reflector's blobs in segments
	conns       int    // connections that ask
	once        bool   // end after the table
}

func main() {
	// A child is told to end when the thread that started it ends, so that thread must be one that stays.
	runtime.LockOSThread()
	o, err := parseOptions(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		exit(nil)
	}
	if err != nil {
		exit(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = run(ctx, o, os.Stdout)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errors.New("interrupted before the table was there")
	}
	stop()
	exit(err)
}

// parseOptions reads the command line and checks what can be checked before anything is made.
func parseOptions(args []string, errs io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("tryout", flag.ContinueOnError)
	f.SetOutput(errs)
	f.StringVar(&o.prism, "prism", "", "the built prism")
	f.StringVar(&o.conf, "conf", "tools/tryout/conf", "folder with the configurations of the programs")
	f.StringVar(&o.gateway, "s3", "", "a built versitygw: the reflector keeps its blobs in a bucket of it")
	f.StringVar(&o.blobs, "blobs", "", "folder of blobs named by hash, flat or in folders of prefixes; empty makes some")
	f.StringVar(&o.from, "from", "/usr", "folders of files to make blobs of, separated by colons")
	f.Int64Var(&o.size, "size", 384<<20, "bytes of blobs to make")
	f.IntVar(&o.httpPort, "http-port", 0, "port of the blobcache; 0 takes a free one")
	f.IntVar(&o.metricsPort, "metrics-port", 0, "port of its metrics; 0 takes a free one")
	f.IntVar(&o.conns, "conns", 8, "connections to ask on")
	f.BoolVar(&o.once, "once", false, "end after the table, with status 1 when anything was wrong")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case o.prism == "":
		return o, errors.New("-prism is missing: the path of a built prism (make build)")
	case o.conns < 1 || o.size < 1:
		return o, errors.New("-conns and -size must be at least 1")
	}
	if _, err := os.Stat(o.prism); err != nil {
		return o, fmt.Errorf("no prism there (make build): %w", err)
	}
	return o, nil
}

// exit ends the program and says why.
func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "tryout:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

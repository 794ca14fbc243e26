package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// run sets the scene, uploads a stream, sends every blob in, reads every blob and the stream back over each protocol,
// prints, and waits unless told otherwise.
func run(ctx context.Context, o options, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "prism-tryout-")
	if err != nil {
		return err
	}
	s := &scene{dir: dir}
	defer func() { err = errors.Join(err, s.close(o, out)) }()
	if err := s.gather(o, out); err != nil {
		return err
	}
	rounds, err := s.play(ctx, o, out)
	if died := s.died(); died != nil {
		return died
	}
	if err != nil {
		return err
	}
	printTable(out, rounds)
	verdict := judge(rounds)
	if o.once {
		return verdict
	}
	if verdict != nil {
		fmt.Fprintf(out, "\nNot as it should be: %v\n", verdict)
	}
	s.printHints(o, out)
	return s.wait(ctx)
}

// play starts the programs one after the other and uses them.
func (s *scene) play(ctx context.Context, o options, out io.Writer) ([]*round, error) {
	if err := s.choosePorts(o); err != nil {
		return nil, err
	}
	if err := s.setEnv(); err != nil {
		return nil, err
	}
	if o.gateway != "" {
		if err := s.startS3(ctx, o.gateway, out); err != nil {
			return nil, err
		}
	}
	if err := s.uploadStream(ctx, o, out); err != nil {
		return nil, err
	}
	if err := s.startReflector(ctx, o, out); err != nil {
		return nil, err
	}
	sent, err := s.send(ctx, o.conns)
	if err != nil {
		return nil, err
	}
	if err := s.startBlobcache(ctx, o, out); err != nil {
		return nil, err
	}
	back, err := s.readBack(ctx, o.conns)
	if err == nil {
		err = s.fetchStream(ctx, o, out)
	}
	return append([]*round{sent}, back...), err
}

// gather finds or makes the blobs.
func (s *scene) gather(o options, out io.Writer) error {
	if o.blobs != "" {
		good, bad, err := findBlobs(o.blobs)
		for _, b := range bad {
			fmt.Fprintln(out, "left out:", b)
		}
		if err != nil {
			return err
		}
		s.blobs = unique(good)
		fmt.Fprintf(out, "blobs:      %d in %s, %s, each compared with its name\n", len(s.blobs), o.blobs, mib(total(s.blobs)))
		return s.checkRoom(0)
	}
	if err := s.checkRoom(o.size); err != nil {
		return err
	}
	dir := filepath.Join(s.dir, "blobs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	var err error
	if s.blobs, err = makeBlobs(dir, strings.Split(o.from, ":"), o.size); err != nil {
		return err
	}
	fmt.Fprintf(out, "blobs:      %d made of files below %s, %s\n", len(s.blobs), o.from, mib(total(s.blobs)))
	return nil
}

// spare is what must stay free on the temporary folder's file system beside the blobs and the two stores: each keeps 1 GiB
// or 1 % free, and its index takes some.
const spare = 5 << 28

// checkRoom refuses to start where the blobs to be made and two stores of them would not fit.
func (s *scene) checkRoom(toMake int64) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(s.dir, &fs); err != nil {
		return fmt.Errorf("look at %s: %w", s.dir, err)
	}
	free := int64(fs.Bavail) * fs.Bsize
	need := toMake + 2*cacheSize(max(toMake, total(s.blobs))) + spare + int64(fs.Blocks)*fs.Bsize/100
	if free < need {
		return fmt.Errorf("%s has %s free and this needs %s: set TMPDIR to a folder with more room", filepath.Dir(s.dir), mib(free), mib(need))
	}
	return nil
}

// cacheSize is the cap of a store that holds all blobs.
func cacheSize(blobs int64) int64 { return max(1<<30, 2*blobs) }

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/OdyseeTeam/prism/internal/process"
)

// scene is everything that runs, and where.
type scene struct {
	dir     string // temporary folder
	blobs   []source
	origin  *process.Child
	prism   *process.Child
	asker   *asker
	metrics string // base URL
}

// run sets the scene, asks twice, prints, and waits unless told otherwise.
func run(ctx context.Context, o options, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "prism-tryout-")
	if err != nil {
		return err
	}
	s := &scene{dir: dir}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.gather(o, out); err != nil {
		return err
	}
	if err := s.start(ctx, o, out); err != nil {
		return err
	}
	rounds, err := s.askTwice(ctx)
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
	s.printHints(out)
	return s.wait(ctx)
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

// spare is what must stay free on the temporary folder's file system beside blobs and cache: the blobcache keeps 1 GiB
// or 1 % free, and its index takes some.
const spare = 5 << 28

// checkRoom refuses to start where the blobs to be made and a cache of them would not fit.
func (s *scene) checkRoom(toMake int64) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(s.dir, &fs); err != nil {
		return fmt.Errorf("look at %s: %w", s.dir, err)
	}
	free := int64(fs.Bavail) * fs.Bsize
	need := toMake + cacheSize(max(toMake, total(s.blobs))) + spare + int64(fs.Blocks)*fs.Bsize/100
	if free < need {
		return fmt.Errorf("%s has %s free and this needs %s: set TMPDIR to a folder with more room", filepath.Dir(s.dir), mib(free), mib(need))
	}
	return nil
}

// cacheSize is the cap of a cache that holds all blobs.
func cacheSize(blobs int64) int64 { return max(1<<30, 2*blobs) }

// start starts the origin and the blobcache in front of it.
func (s *scene) start(ctx context.Context, o options, out io.Writer) error {
	list := filepath.Join(s.dir, "origin.list")
	if err := writeList(list, s.blobs); err != nil {
		return err
	}
	var addr string
	var err error
	if s.origin, addr, err = startOrigin(list, filepath.Join(s.dir, "origin.log")); err != nil {
		return err
	}
	ports, err := process.FreePorts(o.httpPort, o.metricsPort)
	if err != nil {
		return err
	}
	originURL := "http://" + addr
	conf, err := s.writeConf(o.example, ports[0], originURL)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "origin:     %s, process %d\n", originURL, s.origin.PID())
	begun := time.Now()
	cmd := exec.Command(o.prism, "blobcache", "--conf-dir", conf, "--metrics-port", strconv.Itoa(ports[1]))
	if s.prism, err = process.Start("prism", filepath.Join(s.dir, "prism.log"), cmd); err != nil {
		return err
	}
	base := fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	if err := s.prism.WaitReady(ctx, base+"/readyz"); err != nil {
		return err
	}
	fmt.Fprintf(out, "blobcache:  %s, process %d, ready after %v, with %s made from %s\n",
		base, s.prism.PID(), time.Since(begun).Round(time.Millisecond), filepath.Join(conf, confName), o.example)
	s.metrics = fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	s.asker = newAsker(base, originURL, o.conns)
	return nil
}

// confName is the file that `prism blobcache` reads in its configuration folder.
const confName = "blobcache.yaml"

// writeConf copies the example with the ports, the mount, its size and the origin of this scene, and returns its
// folder.
func (s *scene) writeConf(example string, port int, originURL string) (string, error) {
	text, err := os.ReadFile(example)
	if err != nil {
		return "", fmt.Errorf("read the example configuration: %w", err)
	}
	mount, conf := filepath.Join(s.dir, "mount"), filepath.Join(s.dir, "conf")
	for _, d := range []string{mount, conf} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return "", err
		}
	}
	changed, err := rewrite(string(text), []change{
		{key: "port", value: strconv.Itoa(port)},
		{key: "mount_point", value: quoted(mount)},
		{key: "max_size", value: strconv.FormatInt(cacheSize(total(s.blobs)), 10), optional: true},
		{key: "endpoint", value: quoted(originURL + "/")},
	})
	if err != nil {
		return "", fmt.Errorf("%s: %w", example, err)
	}
	return conf, os.WriteFile(filepath.Join(conf, confName), []byte(changed), 0o600)
}

// askTwice asks for every blob once, and once more.
func (s *scene) askTwice(ctx context.Context) ([]*round, error) {
	var rounds []*round
	for range 2 {
		r, err := s.asker.ask(ctx, s.blobs)
		if err != nil {
			select {
			case <-s.prism.Done():
				return nil, s.prism.Died()
			default:
				return nil, err
			}
		}
		rounds = append(rounds, r)
	}
	return rounds, nil
}

// wait blocks until the person has seen enough, or a process ends by itself.
func (s *scene) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.prism.Done():
		return s.prism.Died()
	case <-s.origin.Done():
		return s.origin.Died()
	}
}

// drainGrace is longer than the blobcache's own time to drain.
const drainGrace = 30 * time.Second

// close ends the processes, the blobcache first, and removes the folder. A process that ended by itself was reported
// by whoever waited for it.
func (s *scene) close() error {
	var errs []error
	if s.asker != nil {
		s.asker.client.CloseIdleConnections()
	}
	for _, c := range []*process.Child{s.prism, s.origin} {
		if c == nil {
			continue
		}
		select {
		case <-c.Done():
		default:
			errs = append(errs, c.Stop(drainGrace))
		}
	}
	errs = append(errs, os.RemoveAll(s.dir))
	return errors.Join(errs...)
}

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
	"time"

	"github.com/OdyseeTeam/prism/internal/process"
)

// ports are where everything listens, on loopback.
type ports struct {
	http, http3, peer, metrics                     int // of the blobcache
	reflectorHTTP, reflectorMetrics, reflectorTake int
	s3                                             int
}

// choosePorts reserves free ports; the two that a person may have chosen are kept.
func (s *scene) choosePorts(o options) error {
	var err error
	if s.reserved, err = process.ReservePorts(o.httpPort, o.metricsPort, 0, 0, 0, 0, 0, 0); err != nil {
		return err
	}
	p := s.reserved.Numbers
	s.ports = ports{
		http: p[0], metrics: p[1], http3: p[2], peer: p[3],
		reflectorHTTP: p[4], reflectorMetrics: p[5], reflectorTake: p[6], s3: p[7],
	}
	return nil
}

// scene is everything that runs, and where.
type scene struct {
	dir      string // temporary folder
	blobs    []source
	reserved *process.Ports // nil before choosePorts
	ports    ports
	env      []string // of the programs
	stream   packed
	all      []*process.Child // in the order of their start
}

// address is a port of this machine.
func address(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

// base is the URL of an HTTP server of this machine.
func base(port int) string { return "http://" + address(port) }

// start starts the program args[0] and waits until url answers.
func (s *scene) start(ctx context.Context, name, url string, args ...string) (*process.Child, time.Duration, error) {
	begun := time.Now()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), s.env...)
	c, err := process.Start(name, filepath.Join(s.dir, name+".log"), cmd)
	if err != nil {
		return nil, 0, err
	}
	s.all = append(s.all, c)
	err = c.WaitReady(ctx, url)
	return c, time.Since(begun), err
}

// The folders of the two stores.
const (
	mount          = "mount"
	reflectorMount = "reflector-mount"
)

// bucket is the one that the S3 server has.
const bucket = "blobs"

// startS3 starts a Versity gateway over a folder: a bucket is a folder in it.
func (s *scene) startS3(ctx context.Context, gateway string, out io.Writer) error {
	root := filepath.Join(s.dir, "s3")
	if err := os.MkdirAll(filepath.Join(root, bucket), 0o700); err != nil {
		return err
	}
	const id, secret = "tryout", "tryout-secret"
	s.env = append(s.env,
		"ROOT_ACCESS_KEY="+id, "ROOT_SECRET_KEY="+secret,
		"TRYOUT_S3_ID="+id, "TRYOUT_S3_SECRET="+secret,
		"TRYOUT_S3_BUCKET="+bucket, "TRYOUT_S3_ENDPOINT="+base(s.ports.s3))
	c, _, err := s.start(ctx, "s3", base(s.ports.s3)+"/health",
		gateway, "--port", address(s.ports.s3), "--health", "/health", "posix", root)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "S3 server:  %s, process %d\n", base(s.ports.s3), c.PID())
	return nil
}

// configure writes the configuration of a command, one of the folder o.conf, whose variables are in s.env.
func (s *scene) configure(o options, command, conf string) (dir, file string, err error) {
	dir = filepath.Join(s.dir, command)
	text, err := os.ReadFile(filepath.Join(o.conf, conf))
	if err == nil {
		err = os.Mkdir(dir, 0o700)
	}
	file = filepath.Join(dir, command+".yaml")
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	return dir, file, err
}

// startPrism starts one command of prism.
func (s *scene) startPrism(ctx context.Context, o options, command, conf string, readyPort int, flags ...string) (*process.Child, string, error) {
	dir, file, err := s.configure(o, command, conf)
	if err != nil {
		return nil, "", err
	}
	args := append([]string{o.prism, command, "--conf-dir", dir}, flags...)
	c, took, err := s.start(ctx, command, base(readyPort)+"/readyz", args...)
	if err != nil {
		return nil, "", err
	}
	return c, fmt.Sprintf("process %d, ready after %v, with %s", c.PID(), took.Round(time.Millisecond), file), nil
}

// startReflector starts the program that takes blobs in.
func (s *scene) startReflector(ctx context.Context, o options, out io.Writer) error {
	conf := "reflector.yaml"
	if o.gateway != "" {
		conf = "reflector-s3.yaml"
	}
	_, how, err := s.startPrism(ctx, o, "reflector", conf, s.ports.reflectorHTTP,
		"--receiver-port", strconv.Itoa(s.ports.reflectorTake), "--metrics-port", strconv.Itoa(s.ports.reflectorMetrics))
	if err == nil {
		fmt.Fprintf(out, "reflector:  takes blobs on %s, serves %s, %s\n", address(s.ports.reflectorTake), base(s.ports.reflectorHTTP), how)
	}
	return err
}

// startBlobcache starts the edge in front of the reflector.
func (s *scene) startBlobcache(ctx context.Context, o options, out io.Writer) error {
	_, how, err := s.startPrism(ctx, o, "blobcache", "blobcache.yaml", s.ports.http,
		"--metrics-port", strconv.Itoa(s.ports.metrics))
	if err == nil {
		fmt.Fprintf(out, "blobcache:  HTTP %s, HTTP/3 %s, peer %s, %s\n", base(s.ports.http), address(s.ports.http3), address(s.ports.peer), how)
	}
	return err
}

// setEnv tells the configurations where everything is.
func (s *scene) setEnv() error {
	size := strconv.FormatInt(cacheSize(total(s.blobs)), 10)
	s.env = append(s.env, "TRYOUT_SIZE="+size, "TRYOUT_CATALOGUE="+filepath.Join(s.dir, "catalogue"))
	for name, dir := range map[string]string{"TRYOUT_MOUNT": mount, "TRYOUT_REFLECTOR_MOUNT": reflectorMount} {
		path := filepath.Join(s.dir, dir)
		if err := os.Mkdir(path, 0o700); err != nil {
			return err
		}
		s.env = append(s.env, name+"="+path)
	}
	for name, port := range map[string]int{
		"TRYOUT_HTTP": s.ports.http, "TRYOUT_HTTP3": s.ports.http3, "TRYOUT_PEER": s.ports.peer,
		"TRYOUT_REFLECTOR_HTTP": s.ports.reflectorHTTP,
	} {
		s.env = append(s.env, name+"="+strconv.Itoa(port))
	}
	return nil
}

// died is the error of the first program that ended by itself, or nil.
func (s *scene) died() error {
	for _, c := range s.all {
		select {
		case <-c.Done():
			return c.Died()
		default:
		}
	}
	return nil
}

// wait blocks until the person has seen enough, or a program ends by itself.
func (s *scene) wait(ctx context.Context) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := s.died(); err != nil {
				return err
			}
		}
	}
}

// drainGrace is longer than a program's own time to drain.
const drainGrace = 30 * time.Second

// close ends the programs, the last that was started first, has the checker look at the mounts that they leave, and removes
// the folder. A program that ended by itself was reported by whoever waited for it.
func (s *scene) close(o options, out io.Writer) error {
	var errs []error
	for i := len(s.all) - 1; i >= 0; i-- {
		select {
		case <-s.all[i].Done():
		default:
			errs = append(errs, s.all[i].Stop(drainGrace))
		}
	}
	s.reserved.Close()
	if errors.Join(errs...) == nil {
		errs = append(errs, s.check(o, out))
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

// check runs fsck over every mount that was written, each byte of it compared with its name.
func (s *scene) check(o options, out io.Writer) error {
	var errs []error
	for _, name := range []string{mount, reflectorMount} {
		dir := filepath.Join(s.dir, name)
		if _, err := os.Stat(filepath.Join(dir, "superblock")); errors.Is(err, os.ErrNotExist) {
			continue // no program got so far, or it keeps its blobs elsewhere
		}
		said, err := exec.Command(o.prism, "fsck", "check", "--hash", dir).CombinedOutput()
		if err != nil {
			errs = append(errs, fmt.Errorf("fsck check --hash %s: %w\n%s", dir, err, said))
			continue
		}
		fmt.Fprintf(out, "fsck:       check --hash of %s: clean\n", dir)
	}
	return errors.Join(errs...)
}

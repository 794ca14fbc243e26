package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// packed is a real file that became a stream.
type packed struct {
	file string
	sum  [sha256.Size]byte
	sd   string // names the stream
}

// uploadStream packs a file that is there on every machine, the program itself, and uploads its blobs into the store of
// the reflector, which does not run yet.
func (s *scene) uploadStream(ctx context.Context, o options, out io.Writer) error {
	blobs := filepath.Join(s.dir, "stream")
	p := packed{file: o.prism}
	var err error
	if p.sum, err = sumOf(p.file); err != nil {
		return err
	}
	sd, said, err := s.command(ctx, o.prism, "stream", "pack", p.file, blobs)
	if err != nil {
		return err
	}
	p.sd = sd
	fmt.Fprintf(out, "stream:     %s, %s\n", sd[:min(len(sd), 12)], said)
	conf := "upload.yaml"
	if o.gateway != "" {
		conf = "upload-s3.yaml"
	}
	dir, _, err := s.configure(o, "upload", conf)
	if err != nil {
		return err
	}
	if _, said, err = s.command(ctx, o.prism, "upload", blobs, "--workers", strconv.Itoa(o.conns), "--conf-dir", dir); err != nil {
		return err
	}
	fmt.Fprintf(out, "upload:     %s\n", said)
	s.stream = p
	return nil
}

// fetchStream gets the file back from the blobcache over each protocol, and compares.
func (s *scene) fetchStream(ctx context.Context, o options, out io.Writer) error {
	for _, from := range []string{base(s.ports.http), "http3://" + address(s.ports.http3), "peer://" + address(s.ports.peer)} {
		begun := time.Now()
		name, _, _ := strings.Cut(from, ":")
		file, said, err := s.command(ctx, o.prism, "stream", "fetch", s.stream.sd, "--from", from, "-o", filepath.Join(s.dir, "back-"+name))
		if err != nil {
			return err
		}
		took := time.Since(begun).Round(time.Millisecond)
		sum, err := sumOf(file)
		if err != nil {
			return err
		}
		if sum != s.stream.sum {
			return fmt.Errorf("the file that came back over %s is not the one that was packed: %x, want %x", name, sum, s.stream.sum)
		}
		fmt.Fprintf(out, "fetch:      over %s in %v, identical; %s\n", name, took, said)
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	return nil
}

// sumOf is the SHA-256 of a file.
func sumOf(path string) (sum [sha256.Size]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	h.Sum(sum[:0])
	return sum, nil
}

// command runs a program to its end: what it answered on standard output, and the last line of what it said on standard
// error.
func (s *scene) command(ctx context.Context, args ...string) (answer, said string, err error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), s.env...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = drainGrace
	err = cmd.Run()
	text := strings.TrimSpace(stderr.String())
	if err != nil {
		return "", "", errors.Join(ctx.Err(), fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, text))
	}
	return strings.TrimSpace(stdout.String()), text[strings.LastIndexByte(text, '\n')+1:], nil
}

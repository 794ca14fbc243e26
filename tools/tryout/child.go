package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// child is a process that this one started and ends.
type child struct {
	name string
	cmd  *exec.Cmd
	log  string        // file with what it wrote
	done chan struct{} // closed once it ended
	err  error         // how it ended; to be read after done
}

// startChild starts a program with its output going to a file. A program that was given a pipe for its standard output
// keeps it. The child gets a process group of its own, so that Ctrl-C reaches this process only, which then ends its
// children in order; should this process die, the kernel ends them.
func startChild(name, log string, cmd *exec.Cmd) (*child, error) {
	f, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cmd.Stderr = f
	if cmd.Stdout == nil {
		cmd.Stdout = f
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	c := &child{name: name, cmd: cmd, log: log, done: make(chan struct{})}
	go func() {
		c.err = cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// stop asks the process to end, and ends it when it has not after the grace. It returns an error for a process that had
// ended before, that would not end, or that ended with a status.
func (c *child) stop(grace time.Duration) error {
	select {
	case <-c.done:
		return c.died()
	default:
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
		if c.err != nil {
			return fmt.Errorf("%s ended badly: %w%s", c.name, c.err, c.tail())
		}
		return nil
	case <-time.After(grace):
		_ = c.cmd.Process.Kill()
		<-c.done
		return fmt.Errorf("%s did not end within %v of SIGTERM%s", c.name, grace, c.tail())
	}
}

// died says that the process ended by itself.
func (c *child) died() error {
	how := "with status 0"
	if c.err != nil {
		how = c.err.Error()
	}
	return fmt.Errorf("%s ended by itself: %s%s", c.name, how, c.tail())
}

// tail is the end of what the process wrote, for an error.
func (c *child) tail() string {
	const most = 4 << 10
	b, err := os.ReadFile(c.log)
	if err != nil || len(b) == 0 {
		return ""
	}
	return "\n" + strings.TrimSpace(string(b[max(0, len(b)-most):]))
}

// startOrigin starts this program as the origin and returns its address.
func startOrigin(list, log string) (*child, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	cmd := exec.Command(self, originCommand, "-list", list)
	r, w, err := os.Pipe()
	if err != nil {
		return nil, "", err
	}
	defer r.Close()
	cmd.Stdout = w
	c, err := startChild("the origin", log, cmd)
	_ = w.Close()
	if err != nil {
		return nil, "", err
	}
	addr, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("the origin did not start: %w", err), c.stop(time.Second))
	}
	return c, strings.TrimSpace(addr), nil
}

// waitReady asks url until it answers 200.
func (c *child) waitReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, _ := answers(ctx, url); ok {
			return nil
		}
		select {
		case <-c.done:
			return c.died()
		case <-ctx.Done():
			return fmt.Errorf("%s did not answer %s: %w%s", c.name, url, ctx.Err(), c.tail())
		case <-tick.C:
		}
	}
}

// answers says whether url answers 200.
func answers(ctx context.Context, url string) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	return res.StatusCode == http.StatusOK, err
}

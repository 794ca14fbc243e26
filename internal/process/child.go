package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Child is a process that this one started. Its methods are safe for concurrent use.
type Child struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{}
	err  error // how it ended; to be read once done is closed
}

// Start starts cmd, whose output goes to the file log; a standard output that was set before stays. name is what errors
// call it. Whoever starts a child calls Stop or Kill.
func Start(name, log string, cmd *exec.Cmd) (*Child, error) {
	f, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("process: start %s: %w", name, err)
	}
	defer f.Close()
	cmd.Stderr = f
	if cmd.Stdout == nil {
		cmd.Stdout = f
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("process: start %s: %w", name, err)
	}
	c := &Child{name: name, cmd: cmd, log: log, done: make(chan struct{})}
	go func() {
		c.err = cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// PID is the process id.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Log is the file with what the process writes.
func (c *Child) Log() string { return c.log }

// Done is closed when the process has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// Died is the error that says how a process that was not asked to ended, with the last that it wrote. It waits for
// Done.
func (c *Child) Died() error {
	<-c.done
	how := "exit status 0"
	if c.err != nil {
		how = c.err.Error()
	}
	return fmt.Errorf("%s ended by itself: %s%s", c.name, how, c.tail())
}

// Stop asks the process to end with SIGTERM, and kills it when it has not after grace. It is an error that the process
// had ended before, ended with a status other than 0, or had to be killed.
func (c *Child) Stop(grace time.Duration) error {
	select {
	case <-c.done:
		return c.Died()
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
		c.Kill()
		return fmt.Errorf("%s did not end within %v of SIGTERM%s", c.name, grace, c.tail())
	}
}

// Kill ends the process with SIGKILL, as a crash would, and waits for its end.
func (c *Child) Kill() {
	_ = c.cmd.Process.Kill()
	<-c.done
}

// WaitReady asks url until it answers 200, for half a minute at most.
func (c *Child) WaitReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := answers(ctx, url); err == nil {
			return nil
		}
		select {
		case <-c.done:
			return c.Died()
		case <-ctx.Done():
			return fmt.Errorf("%s did not answer %s: %w%s", c.name, url, ctx.Err(), c.tail())
		case <-tick.C:
		}
	}
}

// answers is nil when url answers 200.
func answers(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return nil
}

// tail is the end of what the process wrote, on lines of its own.
func (c *Child) tail() string {
	const most = 4 << 10
	b, err := os.ReadFile(c.log)
	if err != nil || len(b) == 0 {
		return ""
	}
	return "\n" + strings.TrimSpace(string(b[max(0, len(b)-most):]))
}

// CPU is the processor time that the process has used so far, its threads together. The kernel counts it in hundredths
// of a second.
func (c *Child) CPU() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.PID()))
	if err != nil {
		return 0, fmt.Errorf("process: read the processor time of %s: %w", c.name, err)
	}
	// The name, in parentheses, may hold anything; what follows the last one is numbers.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	const user, system = 11, 12
	if len(fields) <= system {
		return 0, fmt.Errorf("process: read the processor time of %s: %d fields", c.name, len(fields))
	}
	u, errU := strconv.Atoi(fields[user])
	s, errS := strconv.Atoi(fields[system])
	return time.Duration(u+s) * time.Second / ticksPerSecond, errors.Join(errU, errS)
}

// FinalCPU is the processor time of the whole life of a process that has ended. It waits for Done.
func (c *Child) FinalCPU() time.Duration {
	<-c.done
	s := c.cmd.ProcessState
	return s.UserTime() + s.SystemTime()
}

// ticksPerSecond is what Linux counts in towards programs, on every architecture that Go knows.
const ticksPerSecond = 100

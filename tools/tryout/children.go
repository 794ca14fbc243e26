package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/OdyseeTeam/prism/internal/process"
)

// startOrigin starts this program as the origin and returns its address.
func startOrigin(list, log string) (*process.Child, string, error) {
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
	c, err := process.Start("the origin", log, cmd)
	_ = w.Close()
	if err != nil {
		return nil, "", err
	}
	addr, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("the origin did not start: %w", err), c.Stop(time.Second))
	}
	return c, strings.TrimSpace(addr), nil
}

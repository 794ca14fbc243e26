//go:build linux

package diskfs

import (
	"io"
	"os"
	"syscall"
)

// namesAtOnce is how many names EachName holds.
const namesAtOnce = 1024

// EachName holds namesAtOnce names at a time.
func (osFS) EachName(dir string, fn func(name string) error) error {
	d, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(namesAtOnce)
		for _, name := range names {
			if err := fn(name); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/OdyseeTeam/prism/internal/serving"
)

// Listener listens on a unix socket. Close removes the socket's file, unless another one was put in its place.
type Listener struct {
	*net.UnixListener
	path string
	made os.FileInfo
}

// Listen makes the socket at path, for root and the user of this process alone. The folder must be there. What is left
// of a program that was killed is replaced.
func Listen(path string) (*Listener, error) {
	l, err := listen(path)
	if err != nil {
		return nil, fmt.Errorf("admin: listen on %s: %w", path, err)
	}
	return l, nil
}

func listen(path string) (*Listener, error) {
	if err := serving.CheckSocket(path); err != nil {
		return nil, err
	}
	folder, err := lockFolder(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer folder.Close() // and with it the lock
	if err := removeStale(path); err != nil {
		return nil, err
	}
	// On Linux the mode of a socket before it is bound is that of the file which the binding makes.
	private := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		return errors.Join(c.Control(func(fd uintptr) { err = syscall.Fchmod(int(fd), 0o600) }), err)
	}}
	ln, err := private.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	unix := ln.(*net.UnixListener)
	unix.SetUnlinkOnClose(false)
	made, err := os.Lstat(path)
	if err == nil && made.Mode().Perm()&^0o600 != 0 {
		err = fmt.Errorf("its mode is %v, which lets others in", made.Mode())
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close())
	}
	return &Listener{UnixListener: unix, path: path, made: made}, nil
}

// Close ends the listening.
func (l *Listener) Close() error {
	if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.made) {
		_ = os.Remove(l.path) // the next start does it
	}
	return l.UnixListener.Close()
}

// lockPatience is how long another program that starts at the same time may take to make its socket.
const lockPatience = 5 * time.Second

// lockFolder keeps others from making a socket in the folder while this process does: of two that find the same socket
// stale, one could remove the other's new one.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the folder %s does not exist; make it, or choose another path", dir)
	}
	if err != nil {
		return nil, err
	}
	for until := time.Now().Add(lockPatience); ; time.Sleep(10 * time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return f, nil
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR), time.Now().After(until):
			return nil, errors.Join(fmt.Errorf("lock the folder %s: %w; choose a folder that only prism uses", dir, err), f.Close())
		}
	}
}

// removeStale removes a socket that nobody listens on.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("there is something that is no socket (%v); choose another path, or move it away", info.Mode())
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		return errors.Join(fmt.Errorf("%s answers there already; choose another path, or stop it", ownerOf(conn)), conn.Close())
	}
	switch {
	case errors.Is(err, fs.ErrNotExist): // it went by itself
		return nil
	case !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("whether somebody answers there is not known: %w; choose another path, or remove it", err)
	}
	return os.Remove(path)
}

// ownerOf names the process at the other end.
func ownerOf(conn net.Conn) string {
	if cred, err := credentials(conn); err == nil {
		return fmt.Sprintf("process %d", cred.Pid)
	}
	return "another process"
}

// credentials asks the kernel who is at the other end of a unix connection.
func credentials(conn net.Conn) (*syscall.Ucred, error) {
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, fmt.Errorf("admin: a connection over %s has no credentials", conn.RemoteAddr().Network())
	}
	raw, err := unix.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *syscall.Ucred
	var asked error
	err = raw.Control(func(fd uintptr) {
		cred, asked = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	return cred, errors.Join(err, asked)
}

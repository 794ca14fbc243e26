package serving

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
)

// longestSocket is how many bytes the path of a unix socket can have.
const longestSocket = len(syscall.RawSockaddrUnix{}.Path) - 1

// CheckSocket says why a path cannot be that of a unix socket, whatever is there; nil when it can.
func CheckSocket(path string) error {
	switch {
	case !filepath.IsAbs(path):
		return fmt.Errorf("%q is no absolute path; write one such as /run/prism/admin.sock", path)
	case len(path) > longestSocket:
		return fmt.Errorf("the path has %d bytes, and that of a socket has %d at most; choose a shorter one", len(path), longestSocket)
	case strings.ContainsRune(path, 0):
		return fmt.Errorf("%q has a zero byte", path)
	}
	return nil
}

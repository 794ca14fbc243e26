package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// programs are what the distribution's packages of a MariaDB bring, by name.
type programs map[string]string

// mariadbPrograms finds the programs that a MariaDB takes, after installing the distribution's packages where they are
// missing. Processes that want them at the same time wait for the one that installs. No service is started: these
// packages have none.
func mariadbPrograms(ctx context.Context) (programs, error) {
	if found, err := find(); err == nil {
		return found, nil
	}
	dir, err := cacheDir()
	if err != nil {
		return nil, fmt.Errorf("testbed: choose a place for the lock of MariaDB's packages: %w", err)
	}
	unlock, err := lock(filepath.Join(dir, "mariadb-packages.lock"))
	if err != nil {
		return nil, fmt.Errorf("testbed: wait for MariaDB's packages: %w", err)
	}
	defer unlock()
	found, missing := find()
	if missing == nil {
		return found, nil
	}
	if err := install(ctx, "mariadb-server-core", "mariadb-client-core"); err != nil {
		return nil, fmt.Errorf("testbed: %w, and the packages of MariaDB cannot be installed: %w\n"+
			"install them by hand (Debian, Ubuntu: apt-get install mariadb-server-core mariadb-client-core; "+
			"elsewhere the package with mariadbd and mariadb-install-db)", missing, err)
	}
	return find()
}

// find looks for the programs in PATH, and where a user's PATH does not lead.
func find() (programs, error) {
	found := programs{}
	for _, name := range [...]string{"mariadbd", "mariadb-install-db", "my_print_defaults"} {
		path, err := exec.LookPath(name)
		for _, dir := range [...]string{"/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/local/libexec"} {
			if err != nil {
				path, err = exec.LookPath(filepath.Join(dir, name))
			}
		}
		if err != nil {
			return nil, fmt.Errorf("the program %s is missing", name)
		}
		found[name] = path
	}
	return found, nil
}

// install installs packages. The lists of packages are read anew only when it does not work without: that takes longer
// than the rest.
func install(ctx context.Context, packages ...string) error {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return errors.New("there is no apt-get")
	}
	args := append([]string{"install", "-y", "--no-install-recommends"}, packages...)
	err := aptGet(ctx, args...)
	if err == nil || ctx.Err() != nil {
		return err
	}
	if err := aptGet(ctx, "update"); err != nil {
		return err
	}
	return aptGet(ctx, args...)
}

// aptGet runs apt-get as root, or through sudo where that needs no password. It waits for others that use it.
func aptGet(ctx context.Context, args ...string) error {
	args = append([]string{"env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", "DPkg::Lock::Timeout=300"}, args...)
	if os.Geteuid() != 0 {
		if exec.CommandContext(ctx, "sudo", "-n", "true").Run() != nil {
			return errors.New("this is not root, and sudo wants a password or is not there")
		}
		args = append([]string{"sudo", "-n"}, args...)
	}
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// cacheDir is the folder in the user's cache for what tests keep.
func cacheDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "prism-testbed")
	return dir, os.MkdirAll(dir, 0o755)
}

package benchmarks

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/OdyseeTeam/prism/internal/testbed"
)

// roleEnv makes this test binary something else than a test: what is compared with prism runs in a process of its own
// as well, so that its processor time can be told from ours.
const roleEnv = "PRISM_BENCHMARK_ROLE"

// nextRoleEnv is the role that it has after it joined a group.
const nextRoleEnv = "PRISM_BENCHMARK_NEXT_ROLE"

func TestMain(m *testing.M) {
	var err error
	switch role := os.Getenv(roleEnv); role {
	case "":
		os.Exit(runTests(m))
	case "in-group":
		err = errors.Join(os.Setenv(roleEnv, os.Getenv(nextRoleEnv)), inGroup(os.Args[1:]))
	case "cold":
		err = coldReads(os.Args[1], os.Args[2], os.Args[3])
	case "made":
		err = serveMade(os.Args[1], os.Args[2])
	case "bare":
		err = serveBare(os.Args[1], os.Args[2])
	case "peer":
		err = servePeer(os.Args[1], os.Args[2], os.Args[3], os.Args[4])
	case "reflector":
		err = serveUploads(os.Args[1], os.Args[2:])
	case "bare reflector":
		err = serveBareUploads(os.Args[1], os.Args[2], os.Args[3])
	case "http3":
		err = serveHTTP3(os.Args[1], os.Args[2], os.Args[3])
	case "bare http3":
		err = serveBareHTTP3(os.Args[1], os.Args[2])
	case "fetch":
		err = fetchAll(os.Args[1], os.Args[2])
	case "bigmount":
		err = makeBigMount(os.Args[1:])
	default:
		err = fmt.Errorf("no role %q", role)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// binDir holds what is built for the benchmarks; TestMain sets it.
var binDir string

func runTests(m *testing.M) int {
	var err error
	if binDir, err = os.MkdirTemp("", "prism-bench-bin-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(binDir)
	code := m.Run()
	if err := printFigures(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// asRole is the command that runs this binary in a role.
func asRole(role string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), roleEnv+"="+role)
	return cmd
}

// built builds prism once for all benchmarks, as `make build` does.
var built = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(binDir, "prism")
	cmd := exec.Command("go", "build", "-trimpath", "-o", bin, "../cmd/prism")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build prism: %w\n%s", err, out)
	}
	return bin, nil
})

// port is a free one.
func port(tb testing.TB) int {
	tb.Helper()
	return testbed.Ports(tb, 1)[0]
}

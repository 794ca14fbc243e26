package testbed

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/OdyseeTeam/prism/internal/process"
)

// MariaDBServer is a MariaDB over a temporary folder. Its methods are for one goroutine, but for Database and DB.
type MariaDBServer struct {
	Host     string // 127.0.0.1
	Port     int
	User     string // may do everything
	Password string
	DB       *sql.DB  // as that user, for what a test does beside the code that it tests
	Args     []string // of the next Start, after those that a small server takes

	dir       string
	program   string
	env       []string
	ports     *process.Ports // nil, or the reservation of Port
	child     *process.Child
	databases atomic.Int32
}

// MariaDBOptions change how a server is started.
type MariaDBOptions struct {
	Args []string // for mariadbd, after those that a small server takes
	Env  []string // beside nothing else, such as TZ for the zone of the server
}

// MariaDB starts a server without databases of its own. It ends with the test.
func MariaDB(t testing.TB, o MariaDBOptions) *MariaDBServer {
	t.Helper()
	s, err := StartMariaDB(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// StartMariaDB is MariaDB for a TestMain, whose server is shared by the tests of a package. Who starts it closes it.
func StartMariaDB(ctx context.Context, o MariaDBOptions) (*MariaDBServer, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	found, err := mariadbPrograms(ctx)
	if err != nil {
		return nil, err
	}
	s := &MariaDBServer{Host: "127.0.0.1", User: "prism", Password: rand.Text(), program: found["mariadbd"], Args: o.Args, env: o.Env}
	if s.dir, err = os.MkdirTemp("", "mariadb-"); err != nil { // short: a socket's path may have 107 characters
		return nil, fmt.Errorf("testbed: make a folder for MariaDB: %w", err)
	}
	if err := s.prepare(ctx, found); err != nil {
		s.Close()
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		s.ports.Close()
		if s.ports, err = process.ReservePorts(0); err != nil {
			s.Close()
			return nil, err
		}
		s.Port = s.ports.Numbers[0]
		if err = s.Start(ctx); err == nil {
			break
		}
		if attempt == 3 { // another process took the port each time, or it is something else
			s.Close()
			return nil, err
		}
	}
	s.DB, err = s.open()
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// prepare gives the server its data: a copy of what was made once for this version, since making it takes seconds.
func (s *MariaDBServer) prepare(ctx context.Context, found programs) error {
	version, err := exec.CommandContext(ctx, s.program, "--version").Output()
	if err != nil {
		return fmt.Errorf("testbed: ask MariaDB for its version: %w", err)
	}
	dir, err := cacheDir()
	if err != nil {
		return fmt.Errorf("testbed: choose a place for MariaDB's first data: %w", err)
	}
	sum := sha256.Sum256(append(version, smallest()...))
	kept := filepath.Join(dir, "mariadb-"+hex.EncodeToString(sum[:8]))
	unlock, err := lock(kept + ".lock")
	if err != nil {
		return fmt.Errorf("testbed: wait for MariaDB's first data: %w", err)
	}
	defer unlock()
	if _, err := os.Stat(kept); err != nil {
		if err := initialize(ctx, found["mariadb-install-db"], kept); err != nil {
			return err
		}
	}
	if err := os.CopyFS(s.data(), os.DirFS(kept)); err != nil {
		return fmt.Errorf("testbed: copy MariaDB's first data: %w", err)
	}
	users := fmt.Sprintf("CREATE OR REPLACE USER '%[1]s'@'127.0.0.1' IDENTIFIED BY '%[2]s';\n"+
		"GRANT ALL PRIVILEGES ON *.* TO '%[1]s'@'127.0.0.1' WITH GRANT OPTION;\n", s.User, s.Password)
	return os.WriteFile(filepath.Join(s.dir, "init.sql"), []byte(users), 0o600)
}

// smallest is what the data is made with, which the server must be told again.
func smallest() string { return "--innodb-log-file-size=16M" }

// initialize makes the data of a new server.
func initialize(ctx context.Context, program, kept string) error {
	unfinished := kept + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("testbed: clear the way for MariaDB's first data: %w", err)
	}
	args := []string{"--no-defaults", "--datadir=" + unfinished, "--auth-root-authentication-method=normal",
		"--skip-test-db", "--skip-name-resolve", smallest()}
	out, err := exec.CommandContext(ctx, program, append(args, asRoot()...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("testbed: make MariaDB's first data: %w\n%s", err, out)
	}
	return os.Rename(unfinished, kept)
}

// asRoot is what mariadbd wants to hear from root before it runs as root.
func asRoot() []string {
	if os.Geteuid() != 0 {
		return nil
	}
	return []string{"--user=root"}
}

func (s *MariaDBServer) data() string { return filepath.Join(s.dir, "data") }

// Start brings a server that was stopped or killed back, on the same port and with what it held.
func (s *MariaDBServer) Start(ctx context.Context) error {
	args := []string{"--no-defaults", "--datadir=" + s.data(), "--socket=" + filepath.Join(s.dir, "s"), "--tmpdir=" + s.dir,
		"--pid-file=" + filepath.Join(s.dir, "pid"), "--bind-address=" + s.Host, "--port=" + strconv.Itoa(s.Port),
		"--init-file=" + filepath.Join(s.dir, "init.sql"), "--skip-name-resolve", "--skip-log-bin",
		"--innodb-buffer-pool-size=64M", smallest(),
		// What is committed reaches the kernel, and so outlives a killed server; waiting for the disk would only be slow.
		"--innodb-flush-log-at-trx-commit=2", "--innodb-flush-method=nosync", "--sync-frm=0", "--innodb-stats-persistent=0"}
	cmd := exec.Command(s.program, append(append(args, asRoot()...), s.Args...)...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, s.env...)
	child, err := process.Start("mariadbd", filepath.Join(s.dir, "log"), cmd)
	if err != nil {
		return err
	}
	if err := s.await(ctx, child); err != nil {
		child.Kill()
		return err
	}
	s.child = child
	return nil
}

// await asks until the server answers.
func (s *MariaDBServer) await(ctx context.Context, child *process.Child) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	db, err := s.open()
	if err != nil {
		return err
	}
	defer db.Close()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := db.PingContext(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-child.Done():
			return child.Died()
		case <-ctx.Done():
			log, _ := os.ReadFile(child.Log())
			return fmt.Errorf("testbed: MariaDB does not answer: %w\n%s", err, log)
		case <-tick.C:
		}
	}
}

// open gives connections to no database, which are closed after each use.
func (s *MariaDBServer) open() (*sql.DB, error) {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd = s.User, s.Password
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
	cfg.InterpolateParams = true
	cfg.MultiStatements = true
	cfg.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("testbed: connect to MariaDB: %w", err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxIdleConns(-1)
	return db, nil
}

// Database makes a new, empty database and gives its name.
func (s *MariaDBServer) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("prism_%d", s.databases.Add(1))
	if _, err := s.DB.ExecContext(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatalf("testbed: make a database: %v", err)
	}
	return name
}

// Stop ends the server in good order: its port refuses connections until Start.
func (s *MariaDBServer) Stop() error {
	if s.child == nil {
		return nil
	}
	child := s.child
	s.child = nil
	return child.Stop(time.Minute)
}

// Kill ends the server as a crash does.
func (s *MariaDBServer) Kill() {
	if s.child != nil {
		s.child.Kill()
		s.child = nil
	}
}

// Freeze halts the server: it keeps its connections, takes new ones as far as the kernel does, and says nothing.
func (s *MariaDBServer) Freeze() error {
	if err := syscall.Kill(s.child.PID(), syscall.SIGSTOP); err != nil {
		return fmt.Errorf("testbed: freeze MariaDB: %w", err)
	}
	for deadline := time.Now().Add(time.Minute); !stopped(s.child.PID()); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return errors.New("testbed: freeze MariaDB: it goes on")
		}
	}
	return nil
}

// stopped says whether all threads of a process are halted, which takes the kernel a moment.
func stopped(pid int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, path := range threads {
		stat, readErr := os.ReadFile(path)
		if readErr != nil {
			continue // it has ended
		}
		if _, state, ok := bytes.Cut(stat, []byte(") ")); !ok || !bytes.HasPrefix(state, []byte("T")) {
			return false
		}
	}
	return err == nil
}

// Thaw lets a frozen server go on.
func (s *MariaDBServer) Thaw() error { return syscall.Kill(s.child.PID(), syscall.SIGCONT) }

// Close ends the server and removes what it held.
func (s *MariaDBServer) Close() {
	if s.DB != nil {
		_ = s.DB.Close()
	}
	s.Kill()
	s.ports.Close()
	_ = os.RemoveAll(s.dir)
}

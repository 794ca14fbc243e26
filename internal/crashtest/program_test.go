package crashtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/internal/process"
	"github.com/OdyseeTeam/prism/internal/testbed"
	"github.com/OdyseeTeam/prism/protocol/httpblob"
)

// settings say which blobcache to run. Sizes are in bytes.
type settings struct {
	mount   string
	sync    string
	maxSize int64
	segment int64 // 0: the default
	origin  *origin
}

// write writes the configuration into a folder of its own.
func (s settings) write(t *testing.T, port int) string {
	t.Helper()
	segment := ""
	if s.segment > 0 {
		segment = fmt.Sprintf("segment_size: %d, ", s.segment)
	}
	dir := t.TempDir()
	doc := fmt.Sprintf(`
lists: {blocklist: {enabled: false}, protected: {enabled: false}}
servers: {http: {port: %d, address: 127.0.0.1, min_rate: 1KB}}
store:
  caching:
    name: crash
    cache: {disk: {name: crash, mount_point: %q, max_size: %d, %smin_free: 1MB, sync: %s}}
    origin: {http: {endpoint: "%s/"}}
`, port, s.mount, s.maxSize, segment, s.sync, s.origin.URL)
	if err := os.WriteFile(filepath.Join(dir, "blobcache.yaml"), []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// program is a running blobcache with a client of its own.
type program struct {
	*process.Child
	url, metrics string
	began        time.Time
	client       *http.Client
}

// start starts a blobcache and does not wait for anything.
func start(t *testing.T, s settings) *program {
	t.Helper()
	ports := testbed.Ports(t, 2)
	dir := s.write(t, ports[0])
	return launch(t, dir, ports[0], ports[1], "blobcache", "--conf-dir", dir)
}

// launch starts the program, whose HTTP server and metrics are on these ports. Its log goes into dir.
func launch(t *testing.T, dir string, http1, metrics int, args ...string) *program {
	t.Helper()
	cmd := exec.Command(os.Getenv(binaryKey), append(args, "--metrics-port", strconv.Itoa(metrics))...)
	began := time.Now()
	child, err := process.Start("prism", filepath.Join(dir, "log"), cmd)
	if err != nil {
		t.Fatal(err)
	}
	p := &program{
		Child:   child,
		url:     fmt.Sprintf("http://127.0.0.1:%d/", http1),
		metrics: fmt.Sprintf("http://127.0.0.1:%d/metrics", metrics),
		began:   began,
		client:  &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: time.Minute},
	}
	t.Cleanup(func() {
		p.Kill()
		p.client.CloseIdleConnections()
	})
	return p
}

// awaitReady waits until the program answers, and says how long after its start that was.
func (p *program) awaitReady(t *testing.T) time.Duration {
	t.Helper()
	if err := p.WaitReady(t.Context(), p.url+"readyz"); err != nil {
		t.Fatal(err)
	}
	return time.Since(p.began)
}

// The ways in which a request ends badly.
var (
	errWrong   = errors.New("WRONG BYTES")
	errStatus  = errors.New("another answer than 200")
	errMissing = fmt.Errorf("%w: it says that there is no such blob", errStatus)
)

// get asks for a blob and compares all of it with its name. Errors: errWrong, errStatus, of which errMissing is one, or those of a connection that
// was cut. buf has room for the largest blob.
func (p *program) get(ctx context.Context, h blob.Hash, buf []byte) ([]byte, error) {
	body, err := p.fetch(ctx, h, buf)
	if err == nil && blob.Sum(body) != h {
		err = fmt.Errorf("%s: %w in a body of %d bytes", h.Short(), errWrong, len(body))
	}
	return body, err
}

// fetch is get without the comparison.
func (p *program) fetch(ctx context.Context, h blob.Hash, buf []byte) ([]byte, error) {
	body, _, err := p.answer(ctx, h, buf)
	return body, err
}

// answer is fetch that says which stores took part, innermost first.
func (p *program) answer(ctx context.Context, h blob.Hash, buf []byte) ([]byte, []blob.Hop, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+h.String(), nil)
	if err != nil {
		return nil, nil, err
	}
	res, err := p.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	if err := announced(res); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", h.Short(), err)
	}
	body := buf[:res.ContentLength]
	if _, err := io.ReadFull(res.Body, body); err != nil {
		return nil, nil, err
	}
	return body, httpblob.DecodeVia(res.Header.Get(httpblob.ViaHeader)), nil
}

// awaitHit asks for a blob until the disk has it: a client of a fill gets its bytes before they are stored.
func (p *program) awaitHit(ctx context.Context, h blob.Hash, buf []byte) error {
	for {
		_, hops, err := p.answer(ctx, h, buf)
		if err != nil || len(hops) > 0 && hops[0].Origin == "disk-crash" {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// announced says what is wrong with the header of an answer.
func announced(res *http.Response) error {
	if res.StatusCode == http.StatusNotFound {
		return errMissing
	}
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 256))
		return fmt.Errorf("%w: %s %s", errStatus, res.Status, text)
	}
	if n := res.ContentLength; n < 1 || n > blob.MaxSize {
		return fmt.Errorf("%w: a body of %d bytes", errWrong, n)
	}
	return nil
}

// series is what /metrics says now, by name and labels as written.
func (p *program) series(ctx context.Context) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.metrics, nil)
	if err != nil {
		return nil, err
	}
	res, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	all := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || line[0] == '#' {
			continue
		}
		if all[line[:at]], err = strconv.ParseFloat(strings.TrimSpace(line[at:]), 64); err != nil {
			return nil, fmt.Errorf("metrics: %q: %w", line, err)
		}
	}
	return all, nil
}

// sum adds up the series of one family, whatever their labels.
func sum(t *testing.T, all map[string]float64, family string) float64 {
	t.Helper()
	total, found := 0.0, false
	for name, v := range all {
		if name == family || strings.HasPrefix(name, family+"{") {
			total += v
			found = true
		}
	}
	if !found {
		t.Fatalf("there is no series %s", family)
	}
	return total
}

// noFaults fails the test when the program met a fault of the disk: there was none.
func noFaults(t *testing.T, all map[string]float64) {
	t.Helper()
	for name, v := range all {
		for _, family := range []string{"prism_disk_io_errors_total", "prism_disk_quarantined_total", "prism_cache_errors_total", "prism_http_panics_total"} {
			if strings.HasPrefix(name, family) && v != 0 {
				t.Errorf("%s is %v on a disk without faults", name, v)
			}
		}
	}
}

// givenBack waits until the program has given back the space of everything that it evicted.
func (p *program) givenBack(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		all, err := p.series(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		pending := sum(t, all, "prism_disk_pending_bytes")
		if pending == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%.0f bytes are called about to be given back and never are", pending)
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// stopClean ends the program as an operator would, and has the checker look at what it leaves. It returns what the checker
// says.
func (p *program) stopClean(t *testing.T, mount string) string {
	t.Helper()
	p.client.CloseIdleConnections()
	if err := p.Stop(time.Minute); err != nil {
		t.Fatal(err)
	}
	return checked(t, mount)
}

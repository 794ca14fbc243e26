package benchmarks

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var resultsFile = flag.String("results", "", "keep the figures in this Markdown table; those of benchmarks that did not run stay")

// bar is what a figure must meet. The zero bar is none: the figure is there to be read beside the others.
type bar struct {
	least, most float64
}

func atLeast(v float64) bar { return bar{least: v} }
func atMost(v float64) bar  { return bar{most: v} }

// String is the bar as the table shows it.
func (b bar) String() string {
	switch {
	case b.least != 0:
		return "≥ " + number(b.least)
	case b.most != 0:
		return "≤ " + number(b.most)
	}
	return ""
}

// verdict is empty where there is no bar.
func (b bar) verdict(v float64) string {
	switch {
	case b == bar{}:
		return ""
	case b.least != 0 && v < b.least || b.most != 0 && v > b.most:
		return "**missed**"
	}
	return "met"
}

// figure is a line of the table.
type figure struct {
	benchmark, what, value string
	bar, verdict           string
}

// figures collects the lines of all benchmarks of one run.
var figures struct {
	mu    sync.Mutex
	lines []figure
}

// report gives a figure to the benchmark and to the table. The unit is the end of its name: "segments/raw", "p99-ms".
func report(b *testing.B, what string, v float64, must bar) {
	b.Helper()
	b.ReportMetric(v, what)
	f := figure{strings.TrimPrefix(b.Name(), "Benchmark"), what, number(v), must.String(), must.verdict(v)}
	figures.mu.Lock()
	defer figures.mu.Unlock()
	for i, have := range figures.lines { // a benchmark that is run again says it again
		if have.benchmark == f.benchmark && have.what == f.what {
			figures.lines[i] = f
			return
		}
	}
	figures.lines = append(figures.lines, f)
}

// number has as many digits as say something.
func number(v float64) string {
	switch a := max(v, -v); {
	case a == 0 || a >= 1000:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 0.1:
		return fmt.Sprintf("%.2f", v)
	default:
		return fmt.Sprintf("%.2g", v)
	}
}

// printFigures prints the table of this run, and keeps it where -results says.
func printFigures() error {
	if len(figures.lines) == 0 {
		return nil
	}
	fmt.Printf("\n%s", machine())
	for _, f := range figures.lines {
		fmt.Printf("%-28s %-40s %10s %10s %s\n", f.benchmark, f.what, f.value, f.bar, strings.Trim(f.verdict, "*"))
	}
	if *resultsFile == "" {
		return nil
	}
	return keepFigures(*resultsFile)
}

const (
	tableHead = "| benchmark | figure | value | bar | | commit | date |\n|---|---|---:|---:|---|---|---|\n"
	tableMark = "<!-- the table below is written by make bench-table and make bench-long -->\n"
)

// keepFigures writes the table below the mark of the file, whose text above it stays. The lines of a benchmark that ran
// take the place of those it had.
func keepFigures(path string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text, table, ok := strings.Cut(string(old), tableMark)
	if !ok {
		return fmt.Errorf("%s has no line %q under which the table goes", path, strings.TrimSpace(tableMark))
	}
	ran := map[string]bool{}
	for _, f := range figures.lines {
		ran[f.benchmark] = true
	}
	var lines []string
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) == 9 && !ran[strings.TrimSpace(cells[1])] && strings.Contains(line, "| 20") {
			lines = append(lines, line)
		}
	}
	stamp := fmt.Sprintf("%s | %s |\n", commit(), time.Now().Format(time.DateOnly))
	for _, f := range figures.lines {
		lines = append(lines, fmt.Sprintf("| %s | %s | %s | %s | %s | %s", f.benchmark, f.what, f.value, f.bar, f.verdict, stamp))
	}
	slices.SortStableFunc(lines, func(a, b string) int {
		return strings.Compare(strings.Split(a, "|")[1], strings.Split(b, "|")[1])
	})
	return os.WriteFile(path, []byte(text+tableMark+"\n"+machine()+"\n"+tableHead+strings.Join(lines, "")), 0o600)
}

// commit names what is measured.
func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--exclude", "*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// machine says where the figures come from.
func machine() string {
	var u unix.Utsname
	_ = unix.Uname(&u)
	model := "unknown processor"
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	return fmt.Sprintf("%d cores, %s; Linux %s; %s; %s\n",
		runtime.NumCPU(), model, unix.ByteSliceToString(u.Release[:]), fileSystem(os.TempDir()), runtime.Version())
}

// fileSystem names the one that holds a path.
func fileSystem(path string) string {
	names := map[int64]string{0xef53: "ext4", 0x58465342: "xfs", 0x9123683e: "btrfs", 0x794c7630: "overlayfs", 0x01021994: "tmpfs"}
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return "unknown file system"
	}
	if name, ok := names[st.Type]; ok {
		return name
	}
	return fmt.Sprintf("file system %#x", st.Type)
}

package benchmarks

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/segments"
)

// BenchmarkCheckData reads a mount of full blobs with `check --data`, and reads the same segment files in the plain ways
// that a disk can be read from its beginning to its end (plainReadings). Each of them and check starts with an empty page
// cache, and in each round another one comes first. Bar: 0.85 × the fastest of these ways.
//
// That is the disk's sequential rate: the same bytes, in the order in which they lie on the disk, and but for the last way
// by nobody who looks at them. Another file would not do: another one lies elsewhere, and the host of a virtual disk may have what was just
// written in its own memory. No single way would do either, since which one is the fastest depends on the disk and on the
// kernel's read-ahead; so the bar is held against each of them, and the lowest ratio counts. A ratio is the median of
// those of the rounds, in which both were read within seconds, since the rate of a virtual disk comes and goes.
// What check takes to start, to open the index and to scan the tables counts against it: of 4 GiB 3 to 4 hundredths, of 16
// GiB, which says more of a disk of terabytes, one. So the size stands in the name of the figure.
func BenchmarkCheckData(b *testing.B) {
	b.Run(fmt.Sprintf("%dGiB", *checkBytes>>30), checkData)
}

func checkData(b *testing.B) {
	dir := fullMount(b)
	stretches := dataOf(b, filepath.Join(dir, "segments"))
	var check fsckRuns
	rates := make([][]float64, len(plainReadings))
	for round := 0; b.Loop(); round++ {
		for i := range len(plainReadings) + 1 {
			switch i = (i + round) % (len(plainReadings) + 1); i {
			case len(plainReadings):
				check = append(check, runCheck(b, "--data", dir))
			default:
				rates[i] = append(rates[i], plainReadings[i].rate(b, stretches))
			}
		}
	}
	checks := check.gbPerSecond()
	over := func(x, y float64) float64 { return x / y }
	var ratios []float64
	for i := range plainReadings {
		ratios = append(ratios, median(each(checks, rates[i], over)))
	}
	report(b, "check/disk", slices.Min(ratios), atLeast(0.85))
	for i, p := range plainReadings {
		report(b, "check/"+p.name, ratios[i], bar{})
	}
	report(b, "check-GB/s", median(checks), bar{})
	for i, p := range plainReadings {
		report(b, p.name+"-GB/s", median(rates[i]), bar{})
	}
	report(b, "check-peak-MiB", check.peakMiB(), bar{})
}

// plainReading is a way to read files from their beginnings to their ends.
type plainReading struct {
	name    string
	readers int  // at once
	turn    int  // bytes that a reader takes from where the others have come to, and reads from end to end
	request int  // bytes of one system call
	direct  bool // past the page cache
	looks   bool // the CRC of one buffer is computed while the other is read into
}

// directBy8 is more readers than check has on two processors.
var directBy8 = plainReading{name: "direct-by-8", readers: 8, turn: 2 << 20, request: 2 << 20, direct: true}

// plainReadings are cat; dd with a larger block; the same by four readers; one and eight past the page cache, into
// huge pages as check; and one that looks at what it reads, which says what of the distance to the others is not check's.
var plainReadings = [...]plainReading{
	{name: "cat", readers: 1, turn: 64 << 20, request: 128 << 10},
	{name: "dd", readers: 1, turn: 64 << 20, request: 1 << 20},
	{name: "dd-by-4", readers: 4, turn: 64 << 20, request: 1 << 20},
	{name: "direct", readers: 1, turn: 64 << 20, request: 4 << 20, direct: true},
	directBy8,
	{name: "direct-and-crc", readers: 1, turn: 64 << 20, request: 4 << 20, direct: true, looks: true},
}

// stretch is a range of a file that holds data.
type stretch struct {
	path     string
	from, to int64
}

// dataOf is all data in the files of a folder, in the order of their names: what a hole is read at is no rate of a disk.
func dataOf(b *testing.B, dir string) (all []stretch) {
	b.Helper()
	names, err := diskfs.OS().List(dir)
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		f, err := diskfs.OS().Open(path, false)
		if err != nil {
			b.Fatal(err)
		}
		for at := int64(0); ; {
			s := stretch{path: path}
			if s.from, err = f.SeekData(at); err == nil {
				s.to, err = f.SeekHole(s.from)
			}
			if err != nil {
				break
			}
			all, at = append(all, s), s.to
		}
		_ = f.Close()
		if err != io.EOF {
			b.Fatal(err)
		}
	}
	return all
}

// cut cuts stretches into turns.
func (p plainReading) cut(all []stretch) (turns []stretch) {
	for _, s := range all {
		for ; s.from < s.to; s.from += int64(p.turn) {
			turns = append(turns, stretch{s.path, s.from, min(s.from+int64(p.turn), s.to)})
		}
	}
	return turns
}

// rate reads everything on an empty page cache, and gives the rate in GB/s.
func (p plainReading) rate(b *testing.B, all []stretch) float64 {
	b.Helper()
	turns := p.cut(all)
	dropCaches(b)
	var next, read atomic.Int64
	errs := make([]error, p.readers)
	var wg sync.WaitGroup
	began := time.Now()
	for i := range p.readers {
		wg.Go(func() {
			buf, free := diskfs.AlignedHuge(p.request)
			defer free()
			files := plainFiles{plainReading: p, open: map[string]diskfs.File{}, buf: buf}
			defer files.close()
			if p.looks {
				second, free := diskfs.AlignedHuge(p.request)
				defer free()
				defer files.look(second)()
			}
			for n := next.Add(1) - 1; n < int64(len(turns)) && errs[i] == nil; n = next.Add(1) - 1 {
				errs[i] = files.read(turns[n], &read)
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	for _, err := range errs {
		if err != nil {
			b.Fatal(err)
		}
	}
	return float64(read.Load()) / 1e9 / took.Seconds()
}

// plainFiles are what one reader has open. The kernel reads ahead for each open file by itself.
type plainFiles struct {
	plainReading
	open map[string]diskfs.File
	buf  []byte // to read into next

	full, seen chan []byte // of one that looks
}

// look starts to compute CRCs of what is read, while the next is read into another buffer. end waits for the last.
func (f *plainFiles) look(second []byte) (end func()) {
	f.full, f.seen = make(chan []byte), make(chan []byte, 1)
	f.seen <- second
	var wg sync.WaitGroup
	wg.Go(func() {
		for b := range f.full {
			segments.ChecksumRead(b)
			f.seen <- b[:cap(b)]
		}
	})
	return func() { close(f.full); wg.Wait() }
}

func (f *plainFiles) read(s stretch, count *atomic.Int64) error {
	file := f.open[s.path]
	if file == nil {
		var err error
		if file, err = diskfs.OS().Open(s.path, false); err != nil {
			return err
		}
		f.open[s.path] = file
	}
	read := file.ReadAt
	if f.direct {
		read = file.ReadDirect
	}
	for at := s.from; at < s.to; {
		n, err := read(f.buf[:min(int64(len(f.buf)), s.to-at)], at)
		if at += int64(n); err != nil && (err != io.EOF || at < s.to) {
			return fmt.Errorf("%s at %d: %w", s.path, at, err)
		}
		count.Add(int64(n))
		if f.looks {
			f.full <- f.buf[:n]
			f.buf = <-f.seen
		}
	}
	return nil
}

func (f *plainFiles) close() {
	for _, file := range f.open {
		_ = file.Close() // nothing was written to it
	}
}

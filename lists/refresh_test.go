package lists

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/OdyseeTeam/prism/internal/diskfs"
	"github.com/OdyseeTeam/prism/lists/liststest"
)

// BenchmarkRefresh opens a block list of a million entries that are on disk, and refreshes it: the time of both, and the
// heap that is left.
func BenchmarkRefresh(b *testing.B) {
	const n = 1_000_000
	api, dir := liststest.NewServer(b), b.TempDir()
	ids := someHashes(1, n)
	known := make([]output, n)
	for i, sd := range someHashes(2, n) {
		known[i] = output{at: outpoint{tx: txid(ids[i][:32]), out: uint32(i)}, stream: true, sd: sd}
	}
	sortOutputs(known)
	outs := make([]outpoint, n)
	for i := range known {
		outs[i] = known[i].at
	}
	file := stateFile{fs: diskfs.OS(), dir: dir, name: "blocked", url: api.URL, record: outputRecord}
	if err := file.save(time.Now(), n, func(dst []byte, i int) []byte { return known[i].append(dst) }); err != nil {
		b.Fatal(err)
	}
	known = nil // it would count as the list's
	api.Handle(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"success":true,"data":{"outpoints":[`)
		for i, o := range outs {
			if i > 0 {
				_, _ = io.WriteString(w, ",")
			}
			fmt.Fprintf(w, `"%s:%d"`, o.tx, o.out)
		}
		_, _ = io.WriteString(w, `]}}`)
	})
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	for b.Loop() {
		list, err := OpenBlocklist(BlocklistOptions{
			Options: Options{URL: api.URL, Dir: dir, RootCAs: api.Roots(), Logger: slog.New(slog.DiscardHandler), Interval: time.Hour},
			Hubs:    []string{"127.0.0.1:1"},
		})
		if err != nil {
			b.Fatal(err)
		}
		for list.Stats().Refreshes == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		if st := list.Stats(); st.Entries != n || st.LastError != "" {
			b.Fatalf("%+v", st)
		}
		b.ReportMetric(float64(heap()-before)/1e6, "heap-MB")
		list.Close()
	}
	runtime.KeepAlive(outs)
}

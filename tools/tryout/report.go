package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// mib prints bytes.
func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// printTable prints the rounds, one a line.
func printTable(out io.Writer, rounds []*round) {
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tasked\tmisses\thits\terrors\tverified\tMB/s\tp50\tp99\t")
	for i, r := range rounds {
		fmt.Fprintf(w, "round %d\t%d\t%d\t%d\t%d\t%s\t%.0f\t%v\t%v\t\n", i+1, r.asked, r.misses, r.hits(), len(r.errs),
			mib(r.verified), r.rate()/1e6, rounded(r.quantile(.5)), rounded(r.quantile(.99)))
	}
	_ = w.Flush()
	fmt.Fprintln(out, "misses: the origin was asked; verified: SHA-384 of the body is its name; MB/s: with that hashing")
	for i, r := range rounds {
		for _, err := range r.errs[:min(len(r.errs), 5)] {
			fmt.Fprintf(out, "round %d: %v\n", i+1, err)
		}
	}
}

// rounded keeps three digits or so.
func rounded(d time.Duration) time.Duration {
	if d > 10*time.Millisecond {
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(time.Microsecond)
}

// judge says what is wrong with the rounds: nothing may fail, the first must miss each blob once, and the second must
// not ask the origin.
func judge(rounds []*round) error {
	var errs []error
	for i, r := range rounds {
		if len(r.errs) > 0 {
			errs = append(errs, fmt.Errorf("%d of %d requests of round %d failed, the first: %w", len(r.errs), r.asked, i+1, r.errs[0]))
		}
	}
	if first := rounds[0]; first.misses != int64(first.asked) {
		errs = append(errs, fmt.Errorf("round 1 asked the origin %d times for %d blobs", first.misses, first.asked))
	}
	if second := rounds[1]; second.misses != 0 {
		errs = append(errs, fmt.Errorf("round 2 asked the origin %d times, want none", second.misses))
	}
	return errors.Join(errs...)
}

// printHints prints what a person can try next.
func (s *scene) printHints(out io.Writer) {
	url := s.asker.blobURL(s.blobs[0].hash)
	fmt.Fprintf(out, `
It goes on until Ctrl-C. Try
  curl -s '%s' | sha384sum
  curl -so /dev/null -w '%%{http_code} %%{size_download} bytes in %%{time_total} s\n' '%s'
  curl -s %s/metrics | grep -E '^(prism|reflector)_'
  curl -i %s/healthz
  less %s
`, url, url, s.metrics, s.asker.base, s.prism.Log())
}

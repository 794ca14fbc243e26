package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"
	"time"
)

// mib prints bytes.
func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// printTable prints the rounds, one a line.
func printTable(out io.Writer, rounds []*round) {
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tblobs\tfills\terrors\tverified\tMB/s\tp50\tp99\t")
	for _, r := range rounds {
		fills := "-"
		if r.want >= 0 {
			fills = fmt.Sprint(r.fills)
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%d\t%s\t%.0f\t%v\t%v\t\n", r.name, r.asked, fills, len(r.errs),
			mib(r.verified), r.rate()/1e6, rounded(r.quantile(.5)), rounded(r.quantile(.99)))
	}
	_ = w.Flush()
	fmt.Fprintln(out, "fills: the blobcache asked the reflector; verified: SHA-384 of the body is its name; MB/s: with that hashing")
	for _, r := range rounds {
		for _, err := range r.errs[:min(len(r.errs), 5)] {
			fmt.Fprintf(out, "%s: %v\n", r.name, err)
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

// judge says what is wrong with the rounds: nothing may fail, and the blobcache asks the reflector once for each blob.
func judge(rounds []*round) error {
	var errs []error
	for _, r := range rounds {
		if len(r.errs) > 0 {
			errs = append(errs, fmt.Errorf("%s: %d of %d failed, the first: %w", r.name, len(r.errs), r.asked, r.errs[0]))
		}
		if r.want >= 0 && r.fills != r.want {
			errs = append(errs, fmt.Errorf("%s: the blobcache asked the reflector %d times, want %d", r.name, r.fills, r.want))
		}
	}
	return errors.Join(errs...)
}

// printHints prints what a person can try next.
func (s *scene) printHints(o options, out io.Writer) {
	url := base(s.ports.http) + "/blob?hash=" + s.blobs[0].hash.String()
	fmt.Fprintf(out, `
It goes on until Ctrl-C. Try
  %s stream fetch %s --from %s -o /tmp
  curl -s '%s' | sha384sum
  curl -so /dev/null -w '%%{http_code} %%{size_download} bytes in %%{time_total} s\n' '%s'
  curl -s %s/metrics | grep -E '^(prism|reflector)_'
  curl -i %s/healthz
  less %s/*.log
`, o.prism, s.stream.sd, base(s.ports.http), url, url,
		base(s.ports.metrics), base(s.ports.http), s.dir)
}

// getText is the body of a page.
func getText(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", url, res.Status)
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	return string(text), err
}

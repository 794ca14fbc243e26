package lists

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// source is where a list is fetched from.
type source struct {
	url     string
	limit   int64         // bytes of an answer
	timeout time.Duration // of all of it
	client  *http.Client
}

// maxAnswer is more than a block list of a million outputs takes, which is 70 MB. Answers are read as they come, so this bounds no memory
// but that of one value.
const maxAnswer = 128 << 20

func newSource(url string, roots *x509.CertPool, timeout time.Duration) *source {
	return &source{
		url: url, limit: maxAnswer, timeout: timeout,
		client: &http.Client{
			CheckRedirect: checkRedirect,
			Transport: &http.Transport{
				Proxy:                  http.ProxyFromEnvironment,
				TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
				TLSHandshakeTimeout:    10 * time.Second,
				ResponseHeaderTimeout:  30 * time.Second,
				MaxResponseHeaderBytes: 64 << 10,
				ForceAttemptHTTP2:      true,
				DisableKeepAlives:      true, // the next question is minutes away
			},
		},
	}
}

// checkRedirect follows a few redirects, and none that gives up TLS.
func checkRedirect(r *http.Request, via []*http.Request) error {
	if len(via) >= 5 {
		return errors.New("more than 5 redirects")
	}
	if via[0].URL.Scheme == "https" && r.URL.Scheme != "https" {
		return fmt.Errorf("a redirect from https to %s is not followed", r.URL.Scheme)
	}
	return nil
}

// get fetches the list and gives it to read, whose error it returns wrapped.
func (s *source) get(ctx context.Context, read func(io.Reader) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, fmt.Errorf("not done after %v: %w", s.timeout, context.DeadlineExceeded))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "prism")
	res, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("fetch: %w", err) // with the address, without a password in it
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("fetch: %s answers %s", req.URL.Redacted(), res.Status)
	}
	if err := read(&bounded{r: res.Body, left: s.limit}); err != nil {
		if cause := context.Cause(ctx); cause != nil { // what the connection says of it is no help
			err = cause
		}
		return fmt.Errorf("read the answer of %s: %w", req.URL.Redacted(), err)
	}
	return nil
}

var errTooLarge = errors.New("the answer is too large for a list")

// bounded is a reader that fails beyond a number of bytes.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if int64(n) > b.left {
		return int(b.left), errTooLarge
	}
	b.left -= int64(n)
	return n, err
}

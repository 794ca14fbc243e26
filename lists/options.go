package lists

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/OdyseeTeam/prism/internal/diskfs"
)

// Where the lists are, and how often they are fetched, unless options say otherwise.
const (
	DefaultBlockedURL        = "https://api.lbry.com/file/list_blocked"
	DefaultProtectedURL      = "https://direct.api.odysee.com/file/list_protected"
	DefaultBlockedInterval   = 12 * time.Hour
	DefaultProtectedInterval = 2 * time.Minute
	DefaultMaxAge            = time.Hour
)

// DefaultHubs are the hubs that are asked for transactions.
func DefaultHubs() []string {
	return []string{"a-hub1.odysee.com:50001", "b-hub1.odysee.com:50001", "c-hub1.odysee.com:50001", "s-hub1.odysee.com:50001"}
}

// Options are what both lists need. Zero values mean the defaults.
type Options struct {
	// URL is where the list is. Plain http is taken when it is written so.
	URL string
	// Interval is the time from one refresh to the next, a tenth more or less.
	Interval time.Duration
	// Retry is the time from the first failure to the next refresh; it doubles up to Interval. Default 15 s.
	Retry time.Duration
	// Timeout bounds one fetch of the list. Default 2 min.
	Timeout time.Duration
	// Dir is the folder of the state. Required. It is made when the folder above it is there.
	Dir string
	// Logger takes faults. Default: slog.Default.
	Logger *slog.Logger
	// RootCAs sign the certificate of the server. Default: those of the system.
	RootCAs *x509.CertPool
	// FS is what Dir lives on. Default: the operating system's.
	FS diskfs.FS
}

func (o Options) withDefaults(address string, interval time.Duration) (Options, error) {
	if o.Dir == "" {
		return o, errors.New("lists: a list needs a folder for its state")
	}
	if o.URL == "" {
		o.URL = address
	}
	if u, err := url.Parse(o.URL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return o, errors.New("lists: the URL of a list is not an address such as https://example.com/") // it may hold a password
	}
	for _, d := range []struct {
		name string
		is   *time.Duration
		def  time.Duration
	}{
		{"interval", &o.Interval, interval}, {"retry", &o.Retry, 15 * time.Second}, {"timeout", &o.Timeout, 2 * time.Minute},
	} {
		if *d.is < 0 {
			return o, fmt.Errorf("lists: %s is %v, want more than 0", d.name, *d.is)
		}
		if *d.is == 0 {
			*d.is = d.def
		}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.FS == nil {
		o.FS = diskfs.OS()
	}
	return o, nil
}

// CheckHub says what is wrong with the address of a hub.
func CheckHub(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || host == "" {
		return fmt.Errorf("%q is not the address of a hub; want HOST:PORT", addr)
	}
	return nil
}

package mysql

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/OdyseeTeam/prism/metadata"
)

const (
	defaultPort     = 3306
	defaultConns    = 16
	defaultLifetime = 3 * time.Minute // below what servers and proxies allow idle connections
	defaultTimeout  = 30 * time.Second
)

// Options are what New needs. User and Database must be set.
type Options struct {
	User     string
	Password string
	Host     string // a name or an address, or the path of a socket; empty is this machine
	Port     int    // 0 is 3306
	Database string

	// TLS says how connections are encrypted. Empty: not at all. "preferred": when the server can, whoever it is.
	// "skip-verify": always, whoever it is. "true": always, and its certificate must be good for Host.
	TLS   string
	TLSCA string // a PEM file with who signs the server's certificate; empty is whom this machine trusts

	MaxConns int           // open at once; 0 is 16
	Lifetime time.Duration // of a connection; 0 is 3 minutes
	Timeout  time.Duration // for one batch, beside what the contexts of calls say; 0 is 30 s

	Tracking     metadata.Tracking // what accesses are noted on
	SoftDeletes  bool              // whether deleted blobs keep their rows
	CreateSchema bool              // make tables that are missing

	LogQueries bool         // log each statement, at the level info
	Logger     *slog.Logger // nil: nothing is logged
}

func (o Options) withDefaults() Options {
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if o.Port == 0 {
		o.Port = defaultPort
	}
	if o.MaxConns <= 0 {
		o.MaxConns = defaultConns
	}
	if o.Lifetime <= 0 {
		o.Lifetime = defaultLifetime
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o Options) check() error {
	switch {
	case o.User == "":
		return fmt.Errorf("%w: the database's user is missing", metadata.ErrOptions)
	case o.Database == "":
		return fmt.Errorf("%w: the name of the database is missing", metadata.ErrOptions)
	case o.Port < 1 || o.Port > 65535:
		return fmt.Errorf("%w: port %d; a port is 1 to 65535", metadata.ErrOptions, o.Port)
	case o.TLSCA != "" && o.TLS != "true":
		return fmt.Errorf("%w: tls_ca verifies nothing while tls is %q: set it to \"true\"", metadata.ErrOptions, o.TLS)
	}
	return o.Tracking.Check()
}

// place is what errors call the database.
func (o Options) place() string {
	if strings.HasPrefix(o.Host, "/") {
		return o.Host + "/" + o.Database
	}
	return net.JoinHostPort(o.Host, strconv.Itoa(o.Port)) + "/" + o.Database
}

// driver is the settings of the driver.
func (o Options) driver() (*mysql.Config, error) {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.DBName = o.User, o.Password, o.Database
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(o.Host, strconv.Itoa(o.Port))
	if strings.HasPrefix(o.Host, "/") {
		cfg.Net, cfg.Addr = "unix", o.Host
	}
	cfg.Logger = &mysql.NopLogger{} // it says what the errors of calls say
	cfg.InterpolateParams = true    // one round trip for a statement instead of three
	cfg.MaxAllowedPacket = 0        // ask the server
	cfg.ClientFoundRows = true
	// Contexts end calls sooner, and say why. These are for what is given none.
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = 2*o.Timeout, 2*o.Timeout, 2*o.Timeout
	return cfg, o.encrypt(cfg)
}

// encrypt sets up TLS.
func (o Options) encrypt(cfg *mysql.Config) error {
	if o.TLS == "" || o.TLS == "false" {
		return nil
	}
	t := &tls.Config{ServerName: o.Host, MinVersion: tls.VersionTLS12}
	switch o.TLS {
	case "preferred":
		t.InsecureSkipVerify, cfg.AllowFallbackToPlaintext = true, true
	case "skip-verify":
		t.InsecureSkipVerify = true
	case "true":
	default:
		return fmt.Errorf("%w: tls is %q; it can be \"true\", \"skip-verify\", \"preferred\" or \"false\"", metadata.ErrOptions, o.TLS)
	}
	cfg.TLS = t
	if o.TLSCA == "" {
		return nil
	}
	pem, err := os.ReadFile(o.TLSCA)
	if err == nil {
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			err = errors.New("there is no certificate in " + o.TLSCA)
		}
	}
	if err != nil {
		return fmt.Errorf("%w: read tls_ca: %w", metadata.ErrOptions, err)
	}
	return nil
}

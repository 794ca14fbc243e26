// Package config reads the server-level configuration: which servers listen, how to log, how long to drain. The store
// subtree stays a raw node, which stores/compose reads.
//
// Files that were written for older servers load and mean the same: keys in any case, the old conversions of scalars,
// and keys that have no effect any more with a warning. Beyond that, reading is strict: every problem is reported with
// file, line, column and YAML path. Nothing is opened here but the file itself and the files of secrets that it names.
package config

import (
	"net"
	"strconv"
	"time"

	"github.com/OdyseeTeam/prism/internal/bytesize"
	"github.com/OdyseeTeam/prism/internal/yamlnode"
)

// Config is one configuration file.
type Config struct {
	File         string
	Servers      Servers
	Store        *yamlnode.Node // exactly one kind, with what it nests; nil only when a problem was reported
	Database     *Database      // of an upload; nil where the file names none
	Lists        Lists
	Log          Log
	DrainTimeout time.Duration // how long requests in flight may take once the program was told to stop
	AdminSocket  string        // absolute path of the unix socket for fsck --online; empty: none
}

// Servers are the servers that were asked for; nil is none.
type Servers struct {
	HTTP     *HTTP
	HTTP3    *HTTP3
	Peer     *Peer
	Receiver Receiver
}

// Listener is where a server listens.
type Listener struct {
	At      *yamlnode.Node // where it is written
	Address string         // empty is every address of the machine
	Port    int
}

// Addr is the address in the form that net.Listen takes.
func (l Listener) Addr() string { return net.JoinHostPort(l.Address, strconv.Itoa(l.Port)) }

// HTTP is servers.http.
type HTTP struct {
	Listener
	MaxConcurrentRequests int    // between the parse of a request and the first byte of its answer
	MaxConnections        int    // open at once
	MinRate               int64  // bytes a second that a client must read over a rolling minute
	EdgeToken             string // opens protected blobs; empty opens nothing
}

// HTTP3 is servers.http3.
type HTTP3 struct {
	Listener
	MaxConcurrentRequests int
	Connections
	TLSCert, TLSKey string // files; both or neither
}

// Peer is servers.peer.
type Peer struct {
	Listener
	Connections
}

// Receiver is servers.receiver: what the server that takes uploads allows. Its port is on the command line.
type Receiver struct {
	At *yamlnode.Node // nil when the file does not mention it
	Connections
}

// Connections bounds the connections of a server.
type Connections struct {
	Most       int // open at once
	PerAddress int // of them, those of one IPv4 address or one IPv6 /64; 0 is no bound
}

// Log is how the program logs.
type Log struct {
	Level  string // debug, info, warn or error
	Format string // text or json
}

// Lists are the lists from the network. Both are fetched unless they are not Enabled, whether the file mentions them or
// not.
type Lists struct {
	At        *yamlnode.Node // nil when the file does not mention them
	StateDir  string         // folder of their last good states; empty for the default
	Blocklist Blocklist
	Protected Protected
}

// Blocklist is lists.blocklist. Empty texts and zeros stand for the defaults of the lists.
type Blocklist struct {
	Enabled  bool
	URL      string
	Hubs     []string // HOST:PORT
	Interval time.Duration
	Delete   bool // what is blocked is deleted from the store
	Serve    bool // what is blocked is served all the same
}

// Protected is lists.protected. Empty texts and zeros stand for the defaults of the lists.
type Protected struct {
	Enabled   bool
	URL       string
	Interval  time.Duration
	OnFailure string        // open or closed
	MaxAge    time.Duration // of the last good state, when closed
}

// Database is where an upload asks what is stored: a server, or the file of an embedded catalogue.
type Database struct {
	At             *yamlnode.Node
	Path           string // of the embedded catalogue; empty: a server
	User, Password string
	Host           string
	Port           int
	Name           string
	AccessTracking int // as for the kind db_backed; an upload notes no access
	LogQueries     bool
}

// defaultLists are those of a file that does not mention them.
func defaultLists() Lists {
	return Lists{Blocklist: Blocklist{Enabled: true, Serve: true}, Protected: Protected{Enabled: true, OnFailure: OnFailureOpen}}
}

// What OnFailure says about blobs while there is no list to ask.
const (
	OnFailureOpen   = "open"   // the last good one decides, however old
	OnFailureClosed = "closed" // every blob is protected
)

const (
	maxRequests    = 1_000_000
	defaultMinRate = int64(8 * bytesize.KiB)
)

// Parse reads the configuration of a server out of data, which came from the named file, and reports what is wrong with
// it. The Config is nil when there is nothing to go on with, and is fit for use only if the report is without problems.
func Parse(file string, data []byte, lookup func(string) (string, bool), r *yamlnode.Report) *Config {
	return parse(file, data, lookup, r, func(c *Config, m *yamlnode.Map) {
		c.Servers.read(m)
		c.Lists.read(m)
		readSocket(m, "admin_socket", &c.AdminSocket)
		m.NoEffect("database", "it belongs in upload.yaml")
	})
}

// ParseUpload is Parse for an upload, which serves nothing.
func ParseUpload(file string, data []byte, lookup func(string) (string, bool), r *yamlnode.Report) *Config {
	return parse(file, data, lookup, r, func(c *Config, m *yamlnode.Map) {
		c.Database = readDatabase(m)
		m.NoEffect("servers", "an upload serves nothing")
		m.NoEffect("lists", "an upload fetches no lists")
		m.NoEffect("admin_socket", "an upload serves nothing")
	})
}

// parse reads what all commands have, and calls own for the rest.
func parse(file string, data []byte, lookup func(string) (string, bool), r *yamlnode.Report, own func(*Config, *yamlnode.Map)) *Config {
	root := yamlnode.Parse(file, data, lookup, r)
	switch {
	case root == nil:
		return nil
	case root.Empty():
		r.Errorf(root, "the file holds no configuration; examples/edge/blobcache.yaml is one to start from")
		return nil
	}
	m := root.Map(r)
	c := &Config{File: file, Log: Log{Level: "info", Format: "text"}, DrainTimeout: 20 * time.Second, Lists: defaultLists()}
	m.Require("store", "name a kind of store under it, such as caching or disk")
	if node, ok := m.Value("store"); ok && !node.Empty() {
		c.Store = node
	}
	own(c, m)
	c.Log.read(m)
	m.Duration("drain_timeout", &c.DrainTimeout, 0)
	m.Done()
	return c
}

func (l *Log) read(parent *yamlnode.Map) {
	node, ok := parent.Value("log")
	if !ok {
		return
	}
	m := node.Map(parent.Report())
	m.OneOf("level", &l.Level, "debug", "info", "warn", "error")
	m.OneOf("format", &l.Format, "text", "json")
	m.Done()
}

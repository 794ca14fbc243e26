package all

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/OdyseeTeam/prism/internal/bytesize"
	"github.com/OdyseeTeam/prism/metadata"
	"github.com/OdyseeTeam/prism/metadata/bolt"
	"github.com/OdyseeTeam/prism/metadata/mysql"
	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/compose"
	"github.com/OdyseeTeam/prism/stores/dbbacked"
)

type dbBackedSpec struct {
	dbbacked.Options
	path   string        // of the embedded catalogue, or
	server mysql.Options // of the one that has a host

	soft    bool
	maxSize int64 // 0 without has_cap
	child   *compose.Part
}

func readDBBacked(n *compose.Node) compose.Spec {
	s := &dbBackedSpec{}
	n.Text("name", &s.Name)
	s.readCatalogue(n)
	tracking := 0
	n.Int("access_tracking", &tracking, int(metadata.TrackNone), int(metadata.TrackBlobs))
	s.Tracking = metadata.Tracking(tracking)
	n.Bool("soft_deletes", &s.soft)
	n.Bool("delete_on_miss", &s.DeleteOnMiss)
	n.Text("journal", &s.Journal)
	if s.Journal != "" {
		n.Directory("journal", s.Journal)
	}
	s.child = n.Child("store")
	capped := s.readCap(n)
	word := string(dbbacked.WriteThrough)
	if capped {
		word = string(dbbacked.WriteBehind)
	}
	n.OneOf("sync", &word, string(dbbacked.WriteThrough), string(dbbacked.WriteBehind))
	s.Sync = dbbacked.Sync(word)
	if s.Sync == dbbacked.WriteBehind && s.Journal == "" && !s.child.Cappable() {
		n.Report().Errorf(n.Map.Node(), "sync: write_behind keeps a journal of what the catalogue is yet to be told, and there is no "+
			"disk under this store to keep it on; name a folder for it with the key journal, or use sync: write_through")
	}
	return s
}

// readCatalogue reads where the catalogue is.
func (s *dbBackedSpec) readCatalogue(n *compose.Node) {
	o := &s.server
	n.Text("path", &s.path)
	n.Text("host", &o.Host)
	n.Text("user", &o.User)
	password := n.Secret("password", &o.Password)
	n.Text("database", &o.Database)
	n.Int("port", &o.Port, 1, 65535)
	n.Text("tls", &o.TLS)
	n.Text("tls_ca", &o.TLSCA)
	n.Bool("log_queries", &o.LogQueries)
	n.Bool("create_schema", &o.CreateSchema)
	host, hasHost := n.Value("host")
	_, hasPath := n.Value("path")
	switch {
	case hasHost && hasPath:
		n.Report().Errorf(host, "both host and path are given: host is a MySQL or MariaDB server, path the file of the embedded "+
			"catalogue; keep one")
	case !hasHost && !hasPath:
		n.Report().Errorf(n.Map.Node(), "neither host nor path is given; give host, user, password and database of a MySQL or "+
			"MariaDB server, or path, the file of the embedded catalogue")
	case hasPath:
		n.Require("path", "it is the file of the embedded catalogue")
		for _, key := range []string{"user", "password", "password_file", "database", "port", "tls", "tls_ca", "log_queries", "create_schema"} {
			n.NoEffect(key, "the embedded catalogue needs none")
		}
	default:
		n.Require("host", "it is the name or address of the database server")
		n.Require("user", "it is the user at the database server")
		n.Require("database", "it is the name of the database")
		if !password {
			n.Report().Warnf(n.Map.Node(), "there is no password; the database is asked without one")
		}
		s.tryServer(n)
	}
}

// tryServer lets the kind say what it cannot work with; making it opens nothing.
func (s *dbBackedSpec) tryServer(n *compose.Node) {
	if s.server.Host == "" || s.server.User == "" || s.server.Database == "" {
		return
	}
	trial, err := mysql.New(s.server)
	if err == nil {
		err = trial.Close()
	}
	if err != nil {
		n.Report().Errorf(n.Map.Node(), "%s", err)
	}
}

// readCap reads has_cap and max_size, hands the bound down, and says whether there is one.
func (s *dbBackedSpec) readCap(n *compose.Node) bool {
	var capped bool
	n.Bool("has_cap", &capped)
	if !capped {
		n.NoEffect("max_size", "has_cap is not set")
		return false
	}
	n.Require("max_size", "with has_cap it says how much the disk under this store may hold, such as 500GB")
	if !n.Size("max_size", &s.maxSize, 1) {
		return true
	}
	found, err := s.child.Cap(s.maxSize)
	switch {
	case !found && s.child.Kind != "":
		n.Report().Errorf(n.Key("has_cap"), "there is no disk under this store that max_size could bound; drop has_cap, or put it on "+
			"a store over a disk")
	case err != nil:
		n.Report().Errorf(n.Key("max_size"), "%s", err)
	}
	return found
}

// Open makes the store. A database that is away does not keep it from opening.
func (s *dbBackedSpec) Open(_ context.Context, env compose.Env) (stores.Store, error) {
	cat, err := s.openCatalogue(env.Logger)
	if err != nil {
		return nil, err
	}
	s.Store, s.Catalogue, s.Logger = s.child.Store(), cat, env.Logger
	store, err := dbbacked.Open(s.Options)
	if err != nil {
		return nil, errors.Join(err, cat.Close())
	}
	return store, nil
}

func (s *dbBackedSpec) openCatalogue(log *slog.Logger) (metadata.Catalogue, error) {
	if s.path != "" {
		cat, err := bolt.Open(bolt.Options{Path: s.path, Tracking: s.Tracking, SoftDeletes: s.soft, Logger: log})
		if err != nil {
			return nil, err // not the nil *Catalogue
		}
		return cat, nil
	}
	s.server.Tracking, s.server.SoftDeletes, s.server.Logger = s.Tracking, s.soft, log
	cat, err := mysql.New(s.server)
	if err != nil {
		return nil, err
	}
	return cat, nil
}

// Describe implements compose.Describer.
func (s *dbBackedSpec) Describe() string {
	where := "catalogue " + s.path
	if s.path == "" {
		port := s.server.Port
		if port == 0 {
			port = 3306
		}
		where = fmt.Sprintf("catalogue %s at %s:%d", s.server.Database, s.server.Host, port)
	}
	parts := []string{where, "sync " + string(s.Sync)}
	if s.maxSize > 0 {
		parts = append(parts, "the disk under it at most "+bytesize.Size(s.maxSize).String())
	}
	return named(s.Name, strings.Join(parts, ", "))
}

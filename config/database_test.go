package config_test

import (
	"reflect"
	"testing"

	"github.com/OdyseeTeam/prism/config"
	"github.com/OdyseeTeam/prism/internal/yamlnode"
)

func parseUpload(doc string) (*config.Config, *yamlnode.Report) {
	r := &yamlnode.Report{}
	return config.ParseUpload("f.yaml", []byte(doc), env, r), r
}

func TestDatabase(t *testing.T) {
	f := func(doc string, want *config.Database) {
		t.Helper()
		got, r := parseUpload(doc + "\nstore: {mem: }\n")
		if !r.OK() {
			t.Fatalf("%q: %s", doc, r.Err())
		}
		if got.Database != nil {
			got.Database.At = nil
		}
		if !reflect.DeepEqual(got.Database, want) || got.Store == nil {
			t.Errorf("%q: %+v, want %+v", doc, got.Database, want)
		}
	}
	f("", nil)
	f("database: {path: /var/c}", &config.Database{Path: "/var/c"})
	f("Database: {User: u, password: 'p', HOST: h, port: '3306', database: d, access_tracking: 1, log_queries: true}",
		&config.Database{User: "u", Password: "p", Host: "h", Port: 3306, Name: "d", AccessTracking: 1, LogQueries: true})
	f("database: {user: u, password: '${TOKEN}', host: h, port: '${PORT}', database: d}",
		&config.Database{User: "u", Password: "from env", Host: "h", Port: 7000, Name: "d"})
}

func TestDatabaseProblems(t *testing.T) {
	f := func(doc, want string) {
		t.Helper()
		if _, r := parseUpload("store: {mem: }\ndatabase: " + doc + "\n"); problems(r) != want {
			t.Errorf("%q:\n got %s\nwant %s", doc, problems(r), want)
		}
	}
	const all = "; an upload needs user, password, host, port and database, or a path for the embedded catalogue"
	f("{user: u, password: p, port: 1, database: d}", "f.yaml:2:11: database: the key host is missing"+all)
	f("{user: u, host: h, port: 1, database: d}", "f.yaml:2:11: database: the key password is missing"+all)
	f("{user: u, password: p, host: '', port: 1, database: d}", "f.yaml:2:40: database.host: this is empty"+all)
	f("{path: /c, host: h}", "f.yaml:2:11: database: host belongs to a server, and path is the embedded catalogue; keep one of the two")
	f("{path: /c, pth: h}", "f.yaml:2:22: database.pth: unknown key; did you mean path?")
	f("{path: ''}", "f.yaml:2:12: database.path: the path is empty; name the file of the embedded catalogue, or a server with host")
}

// What only servers have is passed over with a warning, and a server passes over what only uploads have.
func TestOtherCommandsKeys(t *testing.T) {
	_, r := parseUpload("store: {mem: }\nservers: {http: }\nlists: {}\n")
	if want := "f.yaml:2:1: servers: has no effect: an upload serves nothing\nf.yaml:3:1: lists: has no effect: an upload fetches no lists"; problems(r) != "" || warnings(r) != want {
		t.Errorf("%s, warnings %s, want %s", problems(r), warnings(r), want)
	}
	_, r = parse("store: {mem: }\ndatabase: {path: x}\n")
	if want := "f.yaml:2:1: database: has no effect: it belongs in upload.yaml"; problems(r) != "" || warnings(r) != want {
		t.Errorf("%s, warnings %s, want %s", problems(r), warnings(r), want)
	}
}

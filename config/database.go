package config

import "github.com/OdyseeTeam/prism/internal/yamlnode"

// readDatabase reads the database of an upload.
func readDatabase(parent *yamlnode.Map) *Database {
	node, ok := parent.Value("database")
	if !ok {
		return nil
	}
	r := parent.Report()
	d := &Database{At: parent.Key("database")}
	m := node.Map(r)
	embedded := m.Text("path", &d.Path)
	if embedded && d.Path == "" {
		r.Errorf(m.Key("path"), "the path is empty; name the file of the embedded catalogue, or a server with host")
	}
	const all = "an upload needs user, password, host, port and database, or a path for the embedded catalogue"
	for _, key := range []struct {
		name string
		read bool
	}{
		{"user", m.Text("user", &d.User)},
		{"password", m.Secret("password", &d.Password)},
		{"host", m.Text("host", &d.Host)},
		{"port", m.Int("port", &d.Port, 1, 65535)},
		{"database", m.Text("database", &d.Name)},
	} {
		switch {
		case embedded && key.read:
			r.Errorf(node, "%s belongs to a server, and path is the embedded catalogue; keep one of the two", key.name)
		case !embedded && !(key.read && key.name == "password"): // its file was read, or it is empty and so warned of
			m.Require(key.name, all)
		}
	}
	m.Int("access_tracking", &d.AccessTracking, 0, 2)
	m.Bool("log_queries", &d.LogQueries)
	m.Done()
	return d
}

package lint

import (
	"path"
	"slices"
	"strings"
)

// row is what one package may import. Names are below the module's root; "…" at the end of one means the package and
// all below it, test kits left out.
type row struct {
	floor int
	pkg   string
	ours  string // packages of ours, separated by blanks
	mods  string // path prefixes of other modules, separated by blanks
	net   bool   // whether it may know of HTTP and databases, and on the floors below the stores of sockets
}

// table is the floors of docs/ARCHITECTURE.md, one row a package: a package stands above all that it imports. A package
// of a later day is added here and there before it is written.
var table = []row{
	{floor: 0, pkg: "blob", ours: "internal/sha384"},
	{floor: 0, pkg: "protocol/httpblob", ours: "blob"},
	{floor: 0, pkg: "protocol/peer", ours: "blob internal/jsonscan"},
	{floor: 0, pkg: "protocol/reflector", ours: "blob internal/jsonscan"},
	{floor: 0, pkg: "protocol/stream", ours: "blob"},
	{floor: 0, pkg: "internal/bufpool"},
	{floor: 0, pkg: "internal/breaker", mods: "github.com/sony/gobreaker"},
	{floor: 0, pkg: "internal/bytesize"},
	{floor: 0, pkg: "internal/diskfs", mods: "golang.org/x/sys"},
	{floor: 0, pkg: "internal/diskfs/cachetest", mods: "golang.org/x/sys"},
	{floor: 0, pkg: "internal/diskfs/crashfs", ours: "internal/diskfs"},
	{floor: 0, pkg: "internal/diskfs/pebblefs", ours: "internal/diskfs", mods: pebbleVFS},
	{floor: 0, pkg: "internal/jsonscan"},
	{floor: 0, pkg: "internal/prefetch"},
	{floor: 0, pkg: "internal/leaktest"},
	{floor: 0, pkg: "internal/lint"},
	{floor: 0, pkg: "internal/pacedconn", mods: "golang.org/x/sys", net: true},
	{floor: 0, pkg: "internal/process", net: true},
	{floor: 0, pkg: "internal/progress", mods: "github.com/schollz golang.org/x/term"},
	{floor: 0, pkg: "internal/promptudp", mods: "golang.org/x/sys", net: true},
	{floor: 0, pkg: "internal/serving", ours: "blob", net: true},
	{floor: 0, pkg: "internal/sha384", mods: "golang.org/x/sys"},
	{floor: 0, pkg: "internal/testbed", ours: "internal/process", mods: "github.com/aws github.com/go-sql-driver", net: true},
	{floor: 0, pkg: "internal/yamlnode", ours: "internal/bytesize", mods: "go.yaml.in/yaml"},

	{floor: 1, pkg: "segments", ours: "blob internal/…"},
	{floor: 1, pkg: "segments/mount", ours: "blob segments internal/…"},
	{floor: 1, pkg: "sharded", ours: "blob internal/…"},

	{floor: 2, pkg: "index", ours: "blob segments index/guardfs internal/…", mods: pebble},
	{floor: 2, pkg: "index/guardfs", ours: "internal/…", mods: pebbleVFS},

	{floor: 3, pkg: "engine", ours: "blob segments… index… engine/evict internal/…", mods: pebbleVFS},
	{floor: 3, pkg: "engine/check", ours: "blob segments… index… internal/…"},
	{floor: 3, pkg: "engine/check/checktest", ours: "engine/check segments… index internal/…"},
	{floor: 3, pkg: "engine/enginetest", ours: "blob segments… index… engine engine/check engine/evict engine/repair internal/…"},
	{floor: 3, pkg: "engine/evict", ours: "blob"},
	{floor: 3, pkg: "engine/repair", ours: "blob segments… index… internal/…"},
	{floor: 3, pkg: "lists", ours: "blob internal/…", mods: "github.com/btcsuite google.golang.org/protobuf", net: true},
	{floor: 3, pkg: "lists/liststest", ours: "blob", mods: "github.com/btcsuite google.golang.org/protobuf", net: true},
	{floor: 3, pkg: "metadata", ours: "blob protocol/stream"},
	{floor: 3, pkg: "metadata/bolt", ours: "blob protocol/stream metadata internal/…", mods: "go.etcd.io/bbolt"},
	{floor: 3, pkg: "metadata/compare", ours: "blob protocol/stream metadata"},
	{floor: 3, pkg: "metadata/journal", ours: "blob segments index internal/…"},
	{floor: 3, pkg: "metadata/metadatatest", ours: "blob protocol/stream metadata internal/…"},
	{floor: 3, pkg: "metadata/mysql", ours: "blob protocol/stream metadata internal/…", mods: "github.com/go-sql-driver", net: true},

	{floor: 4, pkg: "config", ours: "blob lists internal/…"},
	{floor: 4, pkg: "stores", ours: "blob"},
	{floor: 4, pkg: "stores/all", ours: "blob stores… metadata… internal/…"},
	{floor: 4, pkg: "stores/caching", ours: kind, mods: "golang.org/x/time"},
	{floor: 4, pkg: "stores/compose", ours: "blob stores internal/…"},
	{floor: 4, pkg: "stores/dbbacked", ours: kind + " metadata…"},
	{floor: 4, pkg: "stores/disk", ours: kind + " engine… segments… index… sharded"},
	{floor: 4, pkg: "stores/fetch", ours: "blob protocol… stores stores/refcount internal/…", net: true},
	{floor: 4, pkg: "stores/gcache", ours: kind, mods: "github.com/hashicorp/golang-lru"},
	{floor: 4, pkg: "stores/http", ours: kind + " stores/fetch", net: true},
	{floor: 4, pkg: "stores/http3", ours: kind + " stores/fetch", mods: "github.com/quic-go", net: true},
	{floor: 4, pkg: "stores/ittt", ours: kind},
	{floor: 4, pkg: "stores/mem", ours: kind},
	{floor: 4, pkg: "stores/multiwriter", ours: kind},
	{floor: 4, pkg: "stores/noop", ours: kind},
	{floor: 4, pkg: "stores/peer", ours: kind, net: true},
	{floor: 4, pkg: "stores/proxieds3", ours: kind},
	{floor: 4, pkg: "stores/refcount", ours: "blob internal/…"},
	{floor: 4, pkg: "stores/s3", ours: kind + " stores/fetch", mods: "github.com/aws", net: true},
	{floor: 4, pkg: "stores/singleflight", ours: kind},
	{floor: 4, pkg: "stores/storetest", ours: kind, net: true},
	{floor: 4, pkg: "stores/upstream", ours: kind + " stores/fetch", net: true},

	{floor: 5, pkg: "admin", ours: "blob segments… index engine engine/check stores/disk internal/…", net: true},
	{floor: 5, pkg: "frontends/download", ours: "blob protocol… stores… internal/…", net: true},
	{floor: 5, pkg: "frontends/http", ours: "blob protocol… stores internal/…", net: true},
	{floor: 5, pkg: "frontends/http3", ours: "blob protocol… stores frontends/http internal/…", mods: "github.com/quic-go", net: true},
	{floor: 5, pkg: "frontends/peer", ours: "blob protocol… stores internal/…", net: true},
	{floor: 5, pkg: "frontends/reflector", ours: "blob protocol… stores internal/…", net: true},
	{floor: 5, pkg: "frontends/upload", ours: "blob protocol… stores internal/…"},
	{floor: 5, pkg: "frontends/upload/reflectclient", ours: "blob protocol/reflector", net: true},
	{floor: 5, pkg: "frontends/frontendtest", ours: "blob protocol… stores… frontends/… internal/…", net: true},

	{floor: 6, pkg: "metrics", ours: "…", mods: "github.com/prometheus", net: true},

	{floor: 7, pkg: "benchmarks", ours: "…", net: true},
	{floor: 7, pkg: "cmd/prism", ours: "…", mods: "github.com/alecthomas/kong", net: true},
	{floor: 7, pkg: "internal/crashtest", ours: "…", net: true},
	{floor: 7, pkg: "internal/goldentest", ours: "…"},
	{floor: 7, pkg: "tools/fsck", ours: "tools/fsck/…"},
	{floor: 7, pkg: "tools/fsck/cli", ours: fsck + " admin tools/fsck/migrate tools/fsck/syncdb", mods: "github.com/alecthomas/kong golang.org/x/time"},
	{floor: 7, pkg: "tools/fsck/migrate", ours: fsck},
	{floor: 7, pkg: "tools/fsck/syncdb", ours: fsck},
	{floor: 7, pkg: "tools/tryout", ours: "blob protocol… internal/… stores/… frontends/upload/reflectclient", net: true},
}

const (
	pebble    = "github.com/cockroachdb/pebble/v2"
	pebbleVFS = "github.com/cockroachdb/pebble/v2/vfs"

	// kind is what every kind of store may import.
	kind = "blob protocol… stores stores/compose stores/refcount internal/…"

	// fsck is what the checker and the tools beside it may import.
	fsck = "blob protocol… engine… segments… sharded index… metadata… config stores… internal/…"
)

// rowOf is the row of a package, or nil.
func rowOf(pkg string) *row {
	i := slices.IndexFunc(table, func(r row) bool { return r.pkg == pkg })
	if i < 0 {
		return nil
	}
	r := table[i]
	return &r
}

// allows says whether a row allows the import of a package of ours.
func (r *row) allows(pkg string) bool {
	for _, p := range strings.Fields(r.ours) {
		prefix, below := strings.CutSuffix(p, "…")
		prefix = strings.TrimSuffix(prefix, "/")
		if pkg == prefix || below && (prefix == "" || strings.HasPrefix(pkg, prefix+"/")) {
			return true
		}
	}
	return false
}

// allowsModule says whether a row allows the import of a package of another module.
func (r *row) allowsModule(pkg string) bool {
	return slices.ContainsFunc(strings.Fields(r.mods), func(m string) bool {
		return pkg == m || strings.HasPrefix(pkg, m+"/")
	})
}

// isKit says whether a package exists for tests only.
func isKit(pkg string) bool {
	name := path.Base(pkg)
	return name == "crashfs" || name == "testbed" || name != "test" && strings.HasSuffix(name, "test")
}

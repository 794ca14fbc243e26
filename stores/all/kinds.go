// Package all is the one list of the kinds of stores that a configuration can name. Each kind's keys are read in a file
// of its own; what they mean is documented with the kind.
//
// The package opens nothing by itself: it turns keys into the Options of each kind, for stores/compose.
package all

import (
	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores/compose"
)

// Kinds are all kinds.
func Kinds() []compose.Kind {
	return []compose.Kind{
		{Name: "disk", Read: readDisk},
		{Name: "caching", Read: readCaching},
		{Name: "http", Read: readHTTP},
		{Name: "peer", Read: readPeer},
		{Name: "s3", Read: readS3},
		{Name: "http3", Read: readHTTP3},
		{Name: "upstream", Read: readUpstream},
		{Name: "ittt", Read: readIttt},
		{Name: "multiwriter", Read: readMultiwriter},
		{Name: "proxied-s3", Read: readProxiedS3},
		{Name: "singleflight", Read: readSingleflight},
		{Name: "gcache", Read: readGcache},
		{Name: "mem", Read: readMem},
		{Name: "noop", Read: readNoop},
		{Name: "db_backed", Read: readDBBacked},
	}
}

// named is a description that starts with the name of a store, if it has one.
func named(name, rest string) string {
	switch {
	case name == "":
		return rest
	case rest == "":
		return name
	}
	return name + ", " + rest
}

// readShardingSize reads the number of characters of a hash that name the folder a blob is in.
func readShardingSize(n *compose.Node) (size int, given bool) {
	given = n.Int("sharding_size", &size, 0, maxSharding)
	return size, given
}

// maxSharding is the longest prefix: a folder named by a whole hash could not be told from a blob.
const maxSharding = blob.HexSize - 1

package all

import (
	"github.com/OdyseeTeam/prism/blob"
	"github.com/OdyseeTeam/prism/stores/compose"
)

// later are the kinds that files may name and this version does not have. Their keys and what they nest are checked
// all the same, so that a file is right once they are there.
func later() []compose.Kind {
	return []compose.Kind{
		{Name: "db_backed", NotYet: true, Read: checkDBBacked},
	}
}

func texts(n *compose.Node, keys ...string) {
	for _, key := range keys {
		var text string
		n.Text(key, &text)
	}
}

func bools(n *compose.Node, keys ...string) {
	for _, key := range keys {
		var b bool
		n.Bool(key, &b)
	}
}

func checkDBBacked(n *compose.Node) compose.Spec {
	var number int
	var size int64
	var secret, word string
	texts(n, "name", "user", "host", "database", "path")
	n.Secret("password", &secret)
	n.Int("port", &number, 1, 65535)
	n.Size("max_size", &size, 0)
	n.Int("access_tracking", &number, 0, 2)
	bools(n, "has_cap", "soft_deletes", "delete_on_miss", "log_queries", "create_schema")
	n.OneOf("sync", &word, "write_through", "write_behind")
	n.Child("store")
	return nil
}

// readShardingSize reads the number of characters of a hash that name the folder a blob is in.
func readShardingSize(n *compose.Node) (size int, given bool) {
	given = n.Int("sharding_size", &size, 0, maxSharding)
	return size, given
}

// maxSharding is the longest prefix: a folder named by a whole hash could not be told from a blob.
const maxSharding = blob.HexSize - 1

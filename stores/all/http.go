package all

import (
	"context"
	"net/url"
	"time"

	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/compose"
	"github.com/OdyseeTeam/prism/stores/http"
)

type httpSpec struct{ http.Options }

// leastTimeout is the shortest timeout of an origin that can be meant.
const leastTimeout = time.Millisecond

func readHTTP(n *compose.Node) compose.Spec {
	s := &httpSpec{}
	n.Text("name", &s.Name)
	n.Require("endpoint", "it is the address that hashes are appended to, such as https://example.com/blobs/")
	given := n.URL("endpoint", &s.Endpoint)
	s.ShardingSize, _ = readShardingSize(n)
	readOriginTimeouts(n, &s.DialTimeout, &s.HeaderTimeout, &s.IdleTimeout)
	if given {
		tryOrigin(n, s)
	}
	return s
}

// readOriginTimeouts reads the keys that all origins over HTTP have.
func readOriginTimeouts(n *compose.Node, dial, header, idle *time.Duration) {
	n.Duration("dial_timeout", dial, leastTimeout)
	n.Duration("header_timeout", header, leastTimeout)
	n.Duration("idle_timeout", idle, leastTimeout)
}

// tryOrigin reports what is wrong with an origin's settings. The kind knows best what it can work with, and making it
// opens nothing.
func tryOrigin(n *compose.Node, s compose.Spec) {
	trial, err := s.Open(context.Background(), compose.Env{})
	if err == nil {
		err = trial.Close()
	}
	if err != nil {
		n.Report().Errorf(n.Map.Node(), "%s", err)
	}
}

// Open makes the store.
func (s *httpSpec) Open(context.Context, compose.Env) (stores.Store, error) {
	store, err := http.New(s.Options)
	if err != nil {
		return nil, err
	}
	return store, nil
}

// Describe implements compose.Describer.
func (s *httpSpec) Describe() string {
	u, err := url.Parse(s.Endpoint)
	if err != nil {
		return s.Name
	}
	// Queries and passwords of addresses hold secrets.
	if u.RawQuery != "" {
		u.RawQuery = "…"
	}
	return named(s.Name, u.Redacted())
}

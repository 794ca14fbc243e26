package all

import (
	"context"
	"net/url"

	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/compose"
	"github.com/OdyseeTeam/prism/stores/upstream"
)

type upstreamSpec struct{ upstream.Options }

func readUpstream(n *compose.Node) compose.Spec {
	s := &upstreamSpec{}
	n.Text("name", &s.Name)
	n.Require("upstream", "it is the address of the other server, such as https://example.com:5569/")
	given := n.URL("upstream", &s.Upstream)
	n.Secret("edge_token", &s.EdgeToken)
	readOriginTimeouts(n, &s.DialTimeout, &s.HeaderTimeout, &s.IdleTimeout)
	if given {
		tryOrigin(n, s)
	}
	return s
}

// Open makes the store.
func (s *upstreamSpec) Open(context.Context, compose.Env) (stores.Store, error) {
	store, err := upstream.New(s.Options)
	if err != nil {
		return nil, err
	}
	return store, nil
}

// Describe implements compose.Describer.
func (s *upstreamSpec) Describe() string {
	u, err := url.Parse(s.Upstream)
	if err != nil {
		return s.Name
	}
	return named(s.Name, u.Redacted())
}

package all

import (
	"context"
	"time"

	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/compose"
	"github.com/OdyseeTeam/prism/stores/peer"
)

type peerSpec struct{ peer.Options }

func readPeer(n *compose.Node) compose.Spec {
	s := &peerSpec{}
	n.Text("name", &s.Name)
	n.Require("address", "it is the server to ask, such as example.com:5567")
	given := n.Text("address", &s.Address)
	var both time.Duration
	n.Duration("timeout", &both, 0)
	s.HeaderTimeout, s.IdleTimeout = both, both
	readOriginTimeouts(n, &s.DialTimeout, &s.HeaderTimeout, &s.IdleTimeout)
	if given && s.Address != "" {
		tryOrigin(n, s)
	}
	return s
}

// Open makes the store.
func (s *peerSpec) Open(context.Context, compose.Env) (stores.Store, error) {
	store, err := peer.New(s.Options)
	if err != nil {
		return nil, err
	}
	return store, nil
}

// Describe implements compose.Describer.
func (s *peerSpec) Describe() string { return named(s.Name, s.Address) }

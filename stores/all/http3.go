package all

import (
	"context"

	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/compose"
	"github.com/OdyseeTeam/prism/stores/http3"
)

type http3Spec struct{ http3.Options }

func readHTTP3(n *compose.Node) compose.Spec {
	s := &http3Spec{}
	n.Text("name", &s.Name)
	n.Require("address", "it is the host and port of the other server, such as example.com:5568")
	given := n.Text("address", &s.Address)
	n.Duration("timeout", &s.Timeout, 0)
	readOriginTimeouts(n, &s.DialTimeout, &s.HeaderTimeout, &s.IdleTimeout)
	n.Bool("verify_certificate", &s.VerifyCertificate)
	if given && s.Address != "" {
		tryOrigin(n, s)
	}
	return s
}

// Open makes the store.
func (s *http3Spec) Open(context.Context, compose.Env) (stores.Store, error) {
	store, err := http3.New(s.Options)
	if err != nil {
		return nil, err
	}
	return store, nil
}

// Describe implements compose.Describer.
func (s *http3Spec) Describe() string { return named(s.Name, s.Address) }

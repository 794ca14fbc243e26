package all

import (
	"context"

	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/compose"
	"github.com/OdyseeTeam/prism/stores/proxieds3"
)

type proxiedS3Spec struct {
	proxieds3.Options
	writer, reader *compose.Part
}

func readProxiedS3(n *compose.Node) compose.Spec {
	s := &proxiedS3Spec{}
	n.Text("name", &s.Name)
	s.writer = n.Child("writer")
	if reader, ok := n.OptionalChild("reader"); ok {
		s.reader = reader
	}
	return s
}

// Open makes the store.
func (s *proxiedS3Spec) Open(context.Context, compose.Env) (stores.Store, error) {
	s.Writer = s.writer.Store()
	if s.reader != nil {
		s.Reader = s.reader.Store()
	}
	return proxieds3.New(s.Options), nil
}

// Describe implements compose.Describer.
func (s *proxiedS3Spec) Describe() string {
	if s.reader == nil {
		return named(s.Name, "read by its writer")
	}
	return named(s.Name, "")
}

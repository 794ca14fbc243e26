package all

import (
	"context"
	"fmt"

	"github.com/OdyseeTeam/prism/stores"
	"github.com/OdyseeTeam/prism/stores/compose"
	"github.com/OdyseeTeam/prism/stores/multiwriter"
)

type multiwriterSpec struct {
	multiwriter.Options
	parts []*compose.Part
}

// numbered are the keys of destinations. Older servers read the first two and ignored the third.
var numbered = [...]string{"one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"}

func readMultiwriter(n *compose.Node) compose.Spec {
	s := &multiwriterSpec{}
	n.Text("name", &s.Name)
	for i, key := range numbered {
		part, ok := n.OptionalChild(key)
		if !ok {
			continue
		}
		if i >= 2 {
			n.Report().Warnf(n.Key(key), "is written to, where older servers ignored it")
		}
		s.parts = append(s.parts, part)
	}
	list, ok := n.Value("destinations")
	if ok {
		for i, item := range list.Items(n.Report()) {
			s.parts = append(s.parts, n.ChildOf(fmt.Sprintf("destinations[%d]", i), item))
		}
	}
	switch {
	case ok && len(s.parts) == 0:
		n.Report().Errorf(list, "there is no destination; list stores, each under a dash")
	case len(s.parts) == 0:
		n.Report().Errorf(n.Map.Node(), "the key destinations is missing; list under it the stores to write to")
	}
	return s
}

// Open makes the store.
func (s *multiwriterSpec) Open(context.Context, compose.Env) (stores.Store, error) {
	for _, part := range s.parts {
		s.Destinations = append(s.Destinations, part.Store())
	}
	store, err := multiwriter.New(s.Options)
	if err != nil {
		return nil, err
	}
	return store, nil
}

// Describe implements compose.Describer.
func (s *multiwriterSpec) Describe() string { return named(s.Name, "") }

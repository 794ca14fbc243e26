package config

import (
	"time"

	"github.com/OdyseeTeam/prism/internal/yamlnode"
	"github.com/OdyseeTeam/prism/lists"
)

func (l *Lists) read(parent *yamlnode.Map) {
	node, ok := parent.Value("lists")
	if !ok {
		return
	}
	l.At = parent.Key("lists")
	m := node.Map(parent.Report())
	m.Text("state_dir", &l.StateDir)
	if node, ok := m.Value("blocklist"); ok {
		l.Blocklist.read(node.Map(parent.Report()))
	}
	if node, ok := m.Value("protected"); ok {
		l.Protected.read(node.Map(parent.Report()))
	}
	m.Done()
}

func (l *Blocklist) read(m *yamlnode.Map) {
	m.Bool("enabled", &l.Enabled)
	m.URL("url", &l.URL)
	if m.Texts("hubs", &l.Hubs) {
		node, _ := m.Value("hubs")
		checkHubs(node, l.Hubs, m.Report())
	}
	m.Duration("interval", &l.Interval, time.Second)
	m.Bool("delete", &l.Delete)
	m.Bool("serve", &l.Serve)
	m.Done()
}

func checkHubs(node *yamlnode.Node, hubs []string, r *yamlnode.Report) {
	for _, addr := range hubs {
		if err := lists.CheckHub(addr); err != nil {
			r.Errorf(node, "%s", err)
		}
	}
}

func (l *Protected) read(m *yamlnode.Map) {
	m.Bool("enabled", &l.Enabled)
	m.URL("url", &l.URL)
	m.Duration("interval", &l.Interval, time.Second)
	m.OneOf("on_failure", &l.OnFailure, OnFailureOpen, OnFailureClosed)
	m.Duration("max_age", &l.MaxAge, time.Second)
	m.Done()
	interval, age := l.Interval, l.MaxAge
	if interval == 0 {
		interval = lists.DefaultProtectedInterval
	}
	if age == 0 {
		age = lists.DefaultMaxAge
	}
	if age < interval {
		m.Report().Errorf(m.Node(), "max_age is %v, and the list is fetched every %v; want a max_age of several intervals", age, interval)
	}
}

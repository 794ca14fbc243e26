package config

import (
	"net/netip"
	"strings"

	"github.com/OdyseeTeam/prism/internal/serving"
	"github.com/OdyseeTeam/prism/internal/yamlnode"
)

// The ports that servers listen on when the file names none.
const (
	DefaultHTTPPort  = 5569
	DefaultHTTP3Port = 5568
	DefaultPeerPort  = 5567
)

func (s *Servers) read(parent *yamlnode.Map) {
	s.Receiver.Connections = Connections{Most: 4000, PerAddress: 500}
	node, ok := parent.Value("servers")
	if !ok {
		return
	}
	m := node.Map(parent.Report())
	if node, ok := m.Value("http"); ok {
		s.HTTP = readHTTP(m.Key("http"), node.Map(parent.Report()))
	}
	if node, ok := m.Value("http3"); ok {
		s.HTTP3 = readHTTP3(m.Key("http3"), node.Map(parent.Report()))
	}
	if node, ok := m.Value("peer"); ok {
		s.Peer = readPeer(m.Key("peer"), node.Map(parent.Report()))
	}
	if node, ok := m.Value("receiver"); ok {
		s.Receiver.At = m.Key("receiver")
		r := node.Map(parent.Report())
		s.Receiver.read(r)
		r.Done()
	}
	m.Done()
	if h, p := s.HTTP, s.Peer; h != nil && p != nil && h.Addr() == p.Addr() {
		parent.Report().Errorf(p.At, "listens on %s, as servers.http does; give it another port", p.Addr())
	}
}

func readHTTP(at *yamlnode.Node, m *yamlnode.Map) *HTTP {
	h := &HTTP{MaxConcurrentRequests: 200, MaxConnections: 16_000, MinRate: defaultMinRate}
	h.read(at, m, DefaultHTTPPort)
	m.Int("max_concurrent_requests", &h.MaxConcurrentRequests, 1, maxRequests)
	m.Int("max_connections", &h.MaxConnections, 1, maxRequests)
	m.Size("min_rate", &h.MinRate, 1)
	m.Secret("edge_token", &h.EdgeToken)
	m.Done()
	return h
}

func readHTTP3(at *yamlnode.Node, m *yamlnode.Map) *HTTP3 {
	h := &HTTP3{MaxConcurrentRequests: 200, Connections: Connections{Most: 16_000, PerAddress: 256}}
	h.Listener.read(at, m, DefaultHTTP3Port)
	m.Int("max_concurrent_requests", &h.MaxConcurrentRequests, 1, maxRequests)
	h.Connections.read(m)
	cert, key := m.Text("tls_cert", &h.TLSCert), m.Text("tls_key", &h.TLSKey)
	if cert != key {
		m.Report().Errorf(m.Node(), "tls_cert and tls_key belong together; give both, or none for a certificate of its own")
	}
	m.NoEffect("edge_token", "protected blobs are not served over HTTP/3")
	m.Done()
	return h
}

func readPeer(at *yamlnode.Node, m *yamlnode.Map) *Peer {
	p := &Peer{Connections: Connections{Most: 16_000}}
	p.Listener.read(at, m, DefaultPeerPort)
	p.Connections.read(m)
	m.NoEffect("max_concurrent_requests", "the peer protocol answers one request after the other")
	m.NoEffect("edge_token", "protected blobs are not served to peers")
	m.Done()
	return p
}

// read reads the bounds of a server's connections; those that are there already stand for what the file leaves out.
func (c *Connections) read(m *yamlnode.Map) {
	m.Int("max_connections", &c.Most, 1, maxRequests)
	m.Int("max_connections_per_address", &c.PerAddress, 1, maxRequests)
}

// read reads what every server has.
func (l *Listener) read(at *yamlnode.Node, m *yamlnode.Map, port int) {
	l.At, l.Port = at, port
	m.Int("port", &l.Port, 1, 65535)
	if !m.Text("address", &l.Address) {
		return
	}
	l.Address = strings.TrimSuffix(strings.TrimPrefix(l.Address, "["), "]")
	_, err := netip.ParseAddr(l.Address)
	if strings.ContainsAny(l.Address, ":/ []") && err != nil {
		node, _ := m.Value("address")
		m.Report().Errorf(node, "want an address alone, such as 127.0.0.1 or ::1; the port is a key of its own")
	}
}

// readSocket reads the path of a unix socket. What is there is seen when it is made.
func readSocket(m *yamlnode.Map, key string, to *string) {
	if !m.Text(key, to) || *to == "" {
		return
	}
	if err := serving.CheckSocket(*to); err != nil {
		node, _ := m.Value(key)
		m.Report().Errorf(node, "%v", err)
	}
}

package metrics

import "github.com/prometheus/client_golang/prometheus"

// family is the series of one name.
type family struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

// families makes families and remembers them for Describe.
type families struct {
	prefix string
	all    []*prometheus.Desc
}

func (f *families) counter(name, help string, labels ...string) family {
	return f.add(prometheus.CounterValue, name, help, labels)
}

func (f *families) gauge(name, help string, labels ...string) family {
	return f.add(prometheus.GaugeValue, name, help, labels)
}

func (f *families) add(kind prometheus.ValueType, name, help string, labels []string) family {
	d := prometheus.NewDesc(f.prefix+name, help, labels, nil)
	f.all = append(f.all, d)
	return family{desc: d, kind: kind}
}

// sink takes the samples of one scrape.
type sink chan<- prometheus.Metric

func (s sink) put(f family, value float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(f.desc, f.kind, value, labels...)
}

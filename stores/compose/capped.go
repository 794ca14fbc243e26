package compose

// Capped is a Spec whose store can be bound by one above it.
type Capped interface {
	// Cap bounds the bytes that the store may hold, its own bound notwithstanding: the smaller one rules. It is called
	// before Open. The error says why it cannot hold to that.
	Cap(bytes int64) error
}

// Cap hands a bound of bytes down to the first store, from p through stores with one child each, that can be bound. found
// is false when there is none.
func (p *Part) Cap(bytes int64) (found bool, err error) {
	part := p.cappable()
	if part == nil {
		return false, nil
	}
	return true, part.spec.(Capped).Cap(bytes)
}

// Cappable says whether there is a store that Cap would find.
func (p *Part) Cappable() bool { return p.cappable() != nil }

func (p *Part) cappable() *Part {
	for {
		if _, ok := p.spec.(Capped); ok {
			return p
		}
		if len(p.Children) != 1 {
			return nil
		}
		p = p.Children[0]
	}
}

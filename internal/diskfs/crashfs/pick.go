package crashfs

import "math/rand/v2"

// picker chooses what becomes of the dirty blocks of one file, which it is asked about in order.
type picker struct {
	r      *rand.Rand
	report *Report
	keep   float64 // how likely a block is kept
	order  bool    // instead: blocks are kept as far as write-back came
	left   int     // how many more blocks that is
}

// newPicker chooses the manner of one file's loss: mostly each block by itself, with a chance from nearly none to nearly
// all; sometimes as write-back goes, where all blocks up to some point were written and none after it.
func newPicker(r *rand.Rand, dirty int, report *Report) *picker {
	p := &picker{r: r, report: report, keep: []float64{0.1, 0.5, 0.9, 0.99}[r.IntN(4)]}
	if r.IntN(5) == 0 {
		p.order, p.left = true, r.IntN(dirty+1)
	}
	return p
}

// block chooses among the versions of a block; the first is what is there if no write survives.
func (p *picker) block(versions []*page) *page {
	last := len(versions) - 1
	if last == 0 {
		return versions[0] // journaled changes only
	}
	keep := p.r.Float64() < p.keep
	if p.order {
		keep = p.left > 0
		p.left--
	}
	if keep {
		p.report.BlocksKept++
		return versions[last]
	}
	switch p.r.IntN(3) {
	case 0:
		newer := 1 + p.r.IntN(last)
		p.report.BlocksTorn++
		return p.tear(versions[p.r.IntN(newer)], versions[newer])
	case 1:
		if last > 1 {
			p.report.BlocksOlder++
			return versions[1+p.r.IntN(last-1)]
		}
	}
	p.report.BlocksDropped++
	if !isData(versions[0]) && p.r.IntN(16) == 0 {
		p.report.BlocksZeroed++
		return new(page)
	}
	return versions[0]
}

// tear mixes two versions; at least one sector is of the old and one of the new.
func (p *picker) tear(old, newer *page) *page {
	const sectors = BlockSize / SectorSize
	mask := 1 + p.r.IntN(1<<sectors-2)
	out := new(page)
	if old != nil {
		*out = *old
	}
	for s := range sectors {
		if mask&(1<<s) != 0 {
			copy(out[s*SectorSize:][:SectorSize], newer[s*SectorSize:])
		}
	}
	return out
}

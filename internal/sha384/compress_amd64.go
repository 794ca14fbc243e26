package sha384

import "golang.org/x/sys/cpu"

// supported says whether processor and kernel have what the lanes are made of.
func supported() bool {
	return cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL
}

// compress8 adds blocks blocks of each of eight streams to their states, which stand word by word: the first eight are the
// first word of each. data is not kept.
//
//go:noescape
func compress8(state *[64]uint64, data *[8]*byte, blocks int)

// compress4 is compress8 of four streams: the first four of data, and the first half of state, four by four.
//
//go:noescape
func compress4(state *[64]uint64, data *[8]*byte, blocks int)

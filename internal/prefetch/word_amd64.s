#include "textflag.h"

// func Word(p *atomic.Uint64)
TEXT ·Word(SB), NOSPLIT, $0-8
	MOVQ p+0(FP), AX
	PREFETCHT0 (AX)
	RET

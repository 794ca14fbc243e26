#include "textflag.h"

// func Word(p *atomic.Uint64)
TEXT ·Word(SB), NOSPLIT, $0-8
	MOVD p+0(FP), R0
	PRFM (R0), PLDL1KEEP
	RET

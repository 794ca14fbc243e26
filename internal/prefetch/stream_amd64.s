#include "textflag.h"

// func stream(p *byte, n int)
TEXT ·stream(SB), NOSPLIT, $0-16
	MOVQ p+0(FP), AX
	MOVQ n+8(FP), CX
	ADDQ AX, CX

line:
	PREFETCHNTA (AX)
	ADDQ $64, AX
	CMPQ AX, CX
	JB   line
	RET

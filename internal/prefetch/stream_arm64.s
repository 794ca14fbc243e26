#include "textflag.h"

// func stream(p *byte, n int)
TEXT ·stream(SB), NOSPLIT, $0-16
	MOVD p+0(FP), R0
	MOVD n+8(FP), R1
	ADD  R0, R1

line:
	PRFM (R0), PLDL1STRM
	ADD  $64, R0
	CMP  R1, R0
	BLO  line
	RET

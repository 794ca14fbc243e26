#include "textflag.h"

// SHA-512's compression of FIPS 180-4, 6.4.2, with one stream in each 64-bit lane of a register: every instruction does
// for eight streams (registers Z) or four (registers Y) what the standard says for one. Both widths use the same macros.
// The instructions are those of AVX-512 F, BW and DQ, and for registers Y of VL.
//
// Registers: 0-7 are a to h, 16-31 are the last 16 words of the message schedule, 8-10 are scratch, 15 is the byte order.
// SI is the state: for each of a to h the words of all lanes. R11 walks over the constants, R13 is the offset into the
// data, R12 where it ends, R14 counts; the streams' pointers take what is left.

// XOR3, CHOOSE and MAJORITY are tables for VPTERNLOGQ: the result for each of the eight combinations of three bits.
#define XOR3 $0x96
#define CHOOSE $0xCA
#define MAJORITY $0xE8

// ROUND is one round with the constant at k and the word w. The names of the eight variables rotate by one from round to
// round, so that nothing is moved.
#define ROUND(a, b, c, d, e, f, g, h, w, k, x, y, z) \
	VPADDQ.BCST k(R11), w, x; \
	VPADDQ x, h, h; \
	VMOVDQA64 e, y; \
	VPTERNLOGQ CHOOSE, g, f, y; \
	VPADDQ y, h, h; \
	VPRORQ $14, e, x; \
	VPRORQ $18, e, y; \
	VPRORQ $41, e, z; \
	VPTERNLOGQ XOR3, x, y, z; \
	VPADDQ z, h, h; \
	VPADDQ h, d, d; \
	VMOVDQA64 a, y; \
	VPTERNLOGQ MAJORITY, c, b, y; \
	VPADDQ y, h, h; \
	VPRORQ $28, a, x; \
	VPRORQ $34, a, y; \
	VPRORQ $39, a, z; \
	VPTERNLOGQ XOR3, x, y, z; \
	VPADDQ z, h, h

// WORD replaces the word w of the schedule by the one 16 later, from those 1, 9 and 14 later.
#define WORD(w, w1, w9, w14, x, y, z) \
	VPADDQ w9, w, w; \
	VPRORQ $1, w1, x; \
	VPRORQ $8, w1, y; \
	VPSRLQ $7, w1, z; \
	VPTERNLOGQ XOR3, x, y, z; \
	VPADDQ z, w, w; \
	VPRORQ $19, w14, x; \
	VPRORQ $61, w14, y; \
	VPSRLQ $6, w14, z; \
	VPTERNLOGQ XOR3, x, y, z; \
	VPADDQ z, w, w

// ROUND8 and ROUND4 are ROUND with the scratch registers of each width.
#define ROUND8(a, b, c, d, e, f, g, h, w, k) ROUND(a, b, c, d, e, f, g, h, w, k, Z8, Z9, Z10)
#define ROUND4(a, b, c, d, e, f, g, h, w, k) ROUND(a, b, c, d, e, f, g, h, w, k, Y8, Y9, Y10)
#define WORD8(w, w1, w9, w14) WORD(w, w1, w9, w14, Z8, Z9, Z10)
#define WORD4(w, w1, w9, w14) WORD(w, w1, w9, w14, Y8, Y9, Y10)

// LOAD8 reads the two words at o of eight streams: those of streams 0, 2, 4, 6 and of streams 1, 3, 5, 7 side by side, of
// which the first words, and the second ones, are interleaved and turned into this machine's byte order.
#define LOAD8(o, w, v) \
	VMOVDQU64 o(AX)(R13*1), X8; \
	VMOVDQU64 o(BX)(R13*1), X9; \
	VINSERTI64X2 $1, o(CX)(R13*1), Z8, Z8; \
	VINSERTI64X2 $1, o(DX)(R13*1), Z9, Z9; \
	VINSERTI64X2 $2, o(DI)(R13*1), Z8, Z8; \
	VINSERTI64X2 $2, o(R8)(R13*1), Z9, Z9; \
	VINSERTI64X2 $3, o(R9)(R13*1), Z8, Z8; \
	VINSERTI64X2 $3, o(R10)(R13*1), Z9, Z9; \
	VPUNPCKLQDQ Z9, Z8, w; \
	VPUNPCKHQDQ Z9, Z8, v; \
	VPSHUFB Z15, w, w; \
	VPSHUFB Z15, v, v

// LOAD4 is LOAD8 of four streams.
#define LOAD4(o, w, v) \
	VMOVDQU64 o(AX)(R13*1), X8; \
	VMOVDQU64 o(BX)(R13*1), X9; \
	VINSERTI64X2 $1, o(CX)(R13*1), Y8, Y8; \
	VINSERTI64X2 $1, o(DX)(R13*1), Y9, Y9; \
	VPUNPCKLQDQ Y9, Y8, w; \
	VPUNPCKHQDQ Y9, Y8, v; \
	VPSHUFB Y15, w, w; \
	VPSHUFB Y15, v, v

// swap reverses the bytes of each 64-bit word.
DATA swap<>+0(SB)/8, $0x0001020304050607
DATA swap<>+8(SB)/8, $0x08090a0b0c0d0e0f
GLOBL swap<>(SB), RODATA|NOPTR, $16

// func compress8(state *[64]uint64, data *[8]*byte, blocks int)
TEXT ·compress8(SB), NOSPLIT, $0-24
	MOVQ state+0(FP), SI
	MOVQ data+8(FP), R11
	MOVQ blocks+16(FP), R12
	SHLQ $7, R12
	MOVQ 0(R11), AX
	MOVQ 8(R11), BX
	MOVQ 16(R11), CX
	MOVQ 24(R11), DX
	MOVQ 32(R11), DI
	MOVQ 40(R11), R8
	MOVQ 48(R11), R9
	MOVQ 56(R11), R10
	XORQ R13, R13
	VBROADCASTI64X2 swap<>(SB), Z15
	VMOVDQU64 0(SI), Z0
	VMOVDQU64 64(SI), Z1
	VMOVDQU64 128(SI), Z2
	VMOVDQU64 192(SI), Z3
	VMOVDQU64 256(SI), Z4
	VMOVDQU64 320(SI), Z5
	VMOVDQU64 384(SI), Z6
	VMOVDQU64 448(SI), Z7

block8:
	LOAD8(0, Z16, Z17)
	LOAD8(16, Z18, Z19)
	LOAD8(32, Z20, Z21)
	LOAD8(48, Z22, Z23)
	LOAD8(64, Z24, Z25)
	LOAD8(80, Z26, Z27)
	LOAD8(96, Z28, Z29)
	LOAD8(112, Z30, Z31)
	LEAQ ·constants(SB), R11
	MOVQ $4, R14

rounds8:
	ROUND8(Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z16, 0)
	WORD8(Z16, Z17, Z25, Z30)
	ROUND8(Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z17, 8)
	WORD8(Z17, Z18, Z26, Z31)
	ROUND8(Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z18, 16)
	WORD8(Z18, Z19, Z27, Z16)
	ROUND8(Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z19, 24)
	WORD8(Z19, Z20, Z28, Z17)
	ROUND8(Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z20, 32)
	WORD8(Z20, Z21, Z29, Z18)
	ROUND8(Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z21, 40)
	WORD8(Z21, Z22, Z30, Z19)
	ROUND8(Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z22, 48)
	WORD8(Z22, Z23, Z31, Z20)
	ROUND8(Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z23, 56)
	WORD8(Z23, Z24, Z16, Z21)
	ROUND8(Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z24, 64)
	WORD8(Z24, Z25, Z17, Z22)
	ROUND8(Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z25, 72)
	WORD8(Z25, Z26, Z18, Z23)
	ROUND8(Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z26, 80)
	WORD8(Z26, Z27, Z19, Z24)
	ROUND8(Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z27, 88)
	WORD8(Z27, Z28, Z20, Z25)
	ROUND8(Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z28, 96)
	WORD8(Z28, Z29, Z21, Z26)
	ROUND8(Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z29, 104)
	WORD8(Z29, Z30, Z22, Z27)
	ROUND8(Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z30, 112)
	WORD8(Z30, Z31, Z23, Z28)
	ROUND8(Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z31, 120)
	WORD8(Z31, Z16, Z24, Z29)
	ADDQ $128, R11
	DECQ R14
	JNZ  rounds8

	ROUND8(Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z16, 0)
	ROUND8(Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z17, 8)
	ROUND8(Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z18, 16)
	ROUND8(Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z19, 24)
	ROUND8(Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z20, 32)
	ROUND8(Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z21, 40)
	ROUND8(Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z22, 48)
	ROUND8(Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z23, 56)
	ROUND8(Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z24, 64)
	ROUND8(Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z25, 72)
	ROUND8(Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z26, 80)
	ROUND8(Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z27, 88)
	ROUND8(Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z28, 96)
	ROUND8(Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z29, 104)
	ROUND8(Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z30, 112)
	ROUND8(Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z31, 120)

	VPADDQ 0(SI), Z0, Z0
	VPADDQ 64(SI), Z1, Z1
	VPADDQ 128(SI), Z2, Z2
	VPADDQ 192(SI), Z3, Z3
	VPADDQ 256(SI), Z4, Z4
	VPADDQ 320(SI), Z5, Z5
	VPADDQ 384(SI), Z6, Z6
	VPADDQ 448(SI), Z7, Z7
	VMOVDQU64 Z0, 0(SI)
	VMOVDQU64 Z1, 64(SI)
	VMOVDQU64 Z2, 128(SI)
	VMOVDQU64 Z3, 192(SI)
	VMOVDQU64 Z4, 256(SI)
	VMOVDQU64 Z5, 320(SI)
	VMOVDQU64 Z6, 384(SI)
	VMOVDQU64 Z7, 448(SI)
	ADDQ $128, R13
	CMPQ R13, R12
	JNE  block8
	VZEROUPPER
	RET

// func compress4(state *[64]uint64, data *[8]*byte, blocks int)
TEXT ·compress4(SB), NOSPLIT, $0-24
	MOVQ state+0(FP), SI
	MOVQ data+8(FP), R11
	MOVQ blocks+16(FP), R12
	SHLQ $7, R12
	MOVQ 0(R11), AX
	MOVQ 8(R11), BX
	MOVQ 16(R11), CX
	MOVQ 24(R11), DX
	XORQ R13, R13
	VBROADCASTI64X2 swap<>(SB), Y15
	VMOVDQU64 0(SI), Y0
	VMOVDQU64 32(SI), Y1
	VMOVDQU64 64(SI), Y2
	VMOVDQU64 96(SI), Y3
	VMOVDQU64 128(SI), Y4
	VMOVDQU64 160(SI), Y5
	VMOVDQU64 192(SI), Y6
	VMOVDQU64 224(SI), Y7

block4:
	LOAD4(0, Y16, Y17)
	LOAD4(16, Y18, Y19)
	LOAD4(32, Y20, Y21)
	LOAD4(48, Y22, Y23)
	LOAD4(64, Y24, Y25)
	LOAD4(80, Y26, Y27)
	LOAD4(96, Y28, Y29)
	LOAD4(112, Y30, Y31)
	LEAQ ·constants(SB), R11
	MOVQ $4, R14

rounds4:
	ROUND4(Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y16, 0)
	WORD4(Y16, Y17, Y25, Y30)
	ROUND4(Y7, Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y17, 8)
	WORD4(Y17, Y18, Y26, Y31)
	ROUND4(Y6, Y7, Y0, Y1, Y2, Y3, Y4, Y5, Y18, 16)
	WORD4(Y18, Y19, Y27, Y16)
	ROUND4(Y5, Y6, Y7, Y0, Y1, Y2, Y3, Y4, Y19, 24)
	WORD4(Y19, Y20, Y28, Y17)
	ROUND4(Y4, Y5, Y6, Y7, Y0, Y1, Y2, Y3, Y20, 32)
	WORD4(Y20, Y21, Y29, Y18)
	ROUND4(Y3, Y4, Y5, Y6, Y7, Y0, Y1, Y2, Y21, 40)
	WORD4(Y21, Y22, Y30, Y19)
	ROUND4(Y2, Y3, Y4, Y5, Y6, Y7, Y0, Y1, Y22, 48)
	WORD4(Y22, Y23, Y31, Y20)
	ROUND4(Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y0, Y23, 56)
	WORD4(Y23, Y24, Y16, Y21)
	ROUND4(Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y24, 64)
	WORD4(Y24, Y25, Y17, Y22)
	ROUND4(Y7, Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y25, 72)
	WORD4(Y25, Y26, Y18, Y23)
	ROUND4(Y6, Y7, Y0, Y1, Y2, Y3, Y4, Y5, Y26, 80)
	WORD4(Y26, Y27, Y19, Y24)
	ROUND4(Y5, Y6, Y7, Y0, Y1, Y2, Y3, Y4, Y27, 88)
	WORD4(Y27, Y28, Y20, Y25)
	ROUND4(Y4, Y5, Y6, Y7, Y0, Y1, Y2, Y3, Y28, 96)
	WORD4(Y28, Y29, Y21, Y26)
	ROUND4(Y3, Y4, Y5, Y6, Y7, Y0, Y1, Y2, Y29, 104)
	WORD4(Y29, Y30, Y22, Y27)
	ROUND4(Y2, Y3, Y4, Y5, Y6, Y7, Y0, Y1, Y30, 112)
	WORD4(Y30, Y31, Y23, Y28)
	ROUND4(Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y0, Y31, 120)
	WORD4(Y31, Y16, Y24, Y29)
	ADDQ $128, R11
	DECQ R14
	JNZ  rounds4

	ROUND4(Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y16, 0)
	ROUND4(Y7, Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y17, 8)
	ROUND4(Y6, Y7, Y0, Y1, Y2, Y3, Y4, Y5, Y18, 16)
	ROUND4(Y5, Y6, Y7, Y0, Y1, Y2, Y3, Y4, Y19, 24)
	ROUND4(Y4, Y5, Y6, Y7, Y0, Y1, Y2, Y3, Y20, 32)
	ROUND4(Y3, Y4, Y5, Y6, Y7, Y0, Y1, Y2, Y21, 40)
	ROUND4(Y2, Y3, Y4, Y5, Y6, Y7, Y0, Y1, Y22, 48)
	ROUND4(Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y0, Y23, 56)
	ROUND4(Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y24, 64)
	ROUND4(Y7, Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y25, 72)
	ROUND4(Y6, Y7, Y0, Y1, Y2, Y3, Y4, Y5, Y26, 80)
	ROUND4(Y5, Y6, Y7, Y0, Y1, Y2, Y3, Y4, Y27, 88)
	ROUND4(Y4, Y5, Y6, Y7, Y0, Y1, Y2, Y3, Y28, 96)
	ROUND4(Y3, Y4, Y5, Y6, Y7, Y0, Y1, Y2, Y29, 104)
	ROUND4(Y2, Y3, Y4, Y5, Y6, Y7, Y0, Y1, Y30, 112)
	ROUND4(Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y0, Y31, 120)

	VPADDQ 0(SI), Y0, Y0
	VPADDQ 32(SI), Y1, Y1
	VPADDQ 64(SI), Y2, Y2
	VPADDQ 96(SI), Y3, Y3
	VPADDQ 128(SI), Y4, Y4
	VPADDQ 160(SI), Y5, Y5
	VPADDQ 192(SI), Y6, Y6
	VPADDQ 224(SI), Y7, Y7
	VMOVDQU64 Y0, 0(SI)
	VMOVDQU64 Y1, 32(SI)
	VMOVDQU64 Y2, 64(SI)
	VMOVDQU64 Y3, 96(SI)
	VMOVDQU64 Y4, 128(SI)
	VMOVDQU64 Y5, 160(SI)
	VMOVDQU64 Y6, 192(SI)
	VMOVDQU64 Y7, 224(SI)
	ADDQ $128, R13
	CMPQ R13, R12
	JNE  block4
	VZEROUPPER
	RET

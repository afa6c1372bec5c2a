@TITLE@
#ifndef MODEL_H
#define MODEL_H

#include <stdint.h>

#define MODEL_INPUT_BYTES @INPUT_BYTES@
#define MODEL_OUTPUT_BYTES @OUTPUT_BYTES@
#define MODEL_ARENA_BYTES @ARENA_BYTES@
#define MODEL_NUM_STEPS @NUM_STEPS@

/* Where the input goes, MODEL_INPUT_BYTES of it, row by row, the channels of a pixel side by side. model_run
 * overwrites it: fill it anew each time. */
int8_t *model_input(void);

/* Computes the output from the input. It allocates nothing and may not run twice at once: the arena is one. */
void model_run(void);

/* The scores of the last run, MODEL_OUTPUT_BYTES of them, until the input is filled again. */
const int8_t *model_output(void);

/* Built with -DMODEL_TRACE, model_run calls this after each operator; self_test.c has one that compares checksums. */
#ifdef MODEL_TRACE
void model_trace(int32_t step, const char *name, const int8_t *tensor, int32_t bytes);
#endif

#endif

/* Runs the model on inputs from standard input and writes its outputs to standard output, until the input ends. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "model.h"

int main(void)
{
    static int8_t image[MODEL_INPUT_BYTES];
    while (fread(image, 1, sizeof image, stdin) == sizeof image) {
        memcpy(model_input(), image, sizeof image);
        model_run();
        fwrite(model_output(), 1, MODEL_OUTPUT_BYTES, stdout);
    }
    return 0;
}

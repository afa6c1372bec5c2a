/* Runs model.c's bytes in TensorFlow Lite Micro, as self_test.c and your program call it. Compile it with that library,
 * whose sources are not here. An arena that is too small shows as a self-test whose vectors all differ. */
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/micro/system_setup.h"
#include "tensorflow/lite/schema/schema_generated.h"

#include "model.h"
#include "resolver.h"

namespace {

alignas(16) uint8_t arena[MODEL_ARENA_BYTES];
int8_t unready_input[MODEL_INPUT_BYTES];
int8_t unready_output[MODEL_OUTPUT_BYTES];
tflite::MicroInterpreter *ready = nullptr;

tflite::MicroInterpreter *interpreter()
{
    static tflite::MicroMutableOpResolver<MODEL_NUM_OPERATORS> resolver;
    static bool opened = false;
    if (!opened) {
        opened = true;
        tflite::InitializeTarget();
        MODEL_ADD_OPERATORS(resolver)
        static tflite::MicroInterpreter made(tflite::GetModel(model_tflite), resolver, arena, MODEL_ARENA_BYTES);
        ready = made.AllocateTensors() == kTfLiteOk ? &made : nullptr;
    }
    return ready;
}

} // namespace

extern "C" int8_t *model_input(void)
{
    return interpreter() != nullptr ? interpreter()->input(0)->data.int8 : unready_input;
}

extern "C" void model_run(void)
{
    if (interpreter() != nullptr && interpreter()->Invoke() != kTfLiteOk) {
        ready = nullptr;
    }
}

extern "C" const int8_t *model_output(void)
{
    return interpreter() != nullptr ? interpreter()->output(0)->data.int8 : unready_output;
}

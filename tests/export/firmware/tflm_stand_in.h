/* What runner.cc calls of TensorFlow Lite Micro, for an interpreter that looks the golden images up. */
#pragma once
#include <stdint.h>
#include <string.h>

#include "contract.h"
extern "C" {
#include "golden.h"
}
#include "model.h"

enum TfLiteStatus { kTfLiteOk, kTfLiteError };
struct TfLiteTensor {
    union {
        int8_t *int8;
    } data;
};

namespace tflite {
struct Model {};
inline const Model *GetModel(const void *bytes) { return static_cast<const Model *>(bytes); }
inline void InitializeTarget() {}

template <unsigned count> struct MicroMutableOpResolver {
    unsigned added = 0;
    void AddConv2D() { ++added; }
    void AddAdd() { ++added; }
    void AddDepthwiseConv2D() { ++added; }
    void AddMean() { ++added; }
    void AddFullyConnected() { ++added; }
};

class MicroInterpreter {
  public:
    template <unsigned count>
    MicroInterpreter(const Model *, const MicroMutableOpResolver<count> &resolver, uint8_t *, size_t)
        : complete_(resolver.added == count)
    {
        input_.data.int8 = given_;
        output_.data.int8 = scores_;
    }
    TfLiteStatus AllocateTensors()
    {
#ifdef MODEL_ARENA_TOO_SMALL
        return kTfLiteError;
#else
        return complete_ ? kTfLiteOk : kTfLiteError;
#endif
    }
    TfLiteTensor *input(int) { return &input_; }
    TfLiteTensor *output(int) { return &output_; }
    TfLiteStatus Invoke()
    {
        for (int vector = 0; vector < GOLDEN_COUNT; ++vector) {
            bool same = true;
            for (int at = 0; at < MODEL_INPUT_BYTES; ++at) {
                same = same && given_[at] == contract_input_table[golden_images[vector][at]];
            }
            if (same) {
                memcpy(scores_, golden_scores[vector], MODEL_OUTPUT_BYTES);
                return kTfLiteOk;
            }
        }
        return kTfLiteError;
    }

  private:
    bool complete_;
    TfLiteTensor input_, output_;
    int8_t given_[MODEL_INPUT_BYTES], scores_[MODEL_OUTPUT_BYTES];
};
} // namespace tflite

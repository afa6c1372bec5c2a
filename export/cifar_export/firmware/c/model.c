#include "model.h"

#ifdef MODEL_TRACE
#define TRACE(step, name, tensor, bytes) model_trace(step, name, tensor, bytes);
#else
#define TRACE(step, name, tensor, bytes)
#endif

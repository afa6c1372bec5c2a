"""From an int8 .tflite graph to the operators that firmware runs."""

"""``python -m cifar_runtime picture.png`` does what ``cifar-classify picture.png`` does."""

import sys

from cifar_runtime.commands.classify import main

if __name__ == "__main__":
    sys.exit(main())

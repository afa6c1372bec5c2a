"""What the operating system gives: files, signals, forked processes, a native stderr."""

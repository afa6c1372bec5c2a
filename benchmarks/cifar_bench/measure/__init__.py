"""What runs models and clocks: workers, rounds, sampling, memory, ceilings."""

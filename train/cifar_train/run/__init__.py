"""What a run leaves: state, events, evaluation."""

"""What a careful person asks of a model beyond its score: the entries of the gate vector, each for itself."""

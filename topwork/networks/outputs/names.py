"""The names of the outputs of an exported model; see `topwork.networks.outputs.complete`."""

PROBABILITIES, DISTANCE, MAP = OUTPUTS = "probabilities", "distance", "map"

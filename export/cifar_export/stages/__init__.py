"""The stages of one export, from the checkpoint to an artefact that can be published."""

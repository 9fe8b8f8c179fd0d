"""The vocabulary of a study, and every decision taken before its first participant."""

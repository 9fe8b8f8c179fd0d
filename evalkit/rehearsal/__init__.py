"""This very study, run many times before its first participant comes."""

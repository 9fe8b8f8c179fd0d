"""The study server: shows trials to people, keeps the truth, loses nothing."""

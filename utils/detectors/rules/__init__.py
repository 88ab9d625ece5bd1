"""Rules a person can read: one feature and a threshold, a signature, an event nobody has seen before."""

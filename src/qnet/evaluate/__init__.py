"""How good a catalogue is, against truth: purity, completeness, redshift errors, calibration."""

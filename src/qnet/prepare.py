"""Prepared data from any spectra that qnet reads."""

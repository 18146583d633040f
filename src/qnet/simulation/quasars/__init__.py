"""Quasars: continua, emission lines, iron, hosts."""

"""Objects in memory that are taken as spectra: one module per library; `registry` lists them."""

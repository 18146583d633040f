"""The FITS layer: files to arrays, whatever their structure."""

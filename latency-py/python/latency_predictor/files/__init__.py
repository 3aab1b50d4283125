"""Files of paths in, files with predictions out: read, scored and written in chunks, at any size."""

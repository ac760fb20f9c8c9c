"""Where pictures come from: files, folders, URLs and standard input."""

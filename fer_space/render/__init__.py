"""Types to pictures, HTML, sentences and records; no model code and no files."""

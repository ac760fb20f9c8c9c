"""The page, one file a feature. It may use everything in the core; the core never imports it."""

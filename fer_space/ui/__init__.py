"""The page: one file a tab. It may use everything in the core; the core never imports it."""

"""What `fer_space.files.shipped` finds: weights, examples and figures. There is no code here."""

"""The trainer: config, augmentation, losses, optimisation, the loop. The core never imports it."""

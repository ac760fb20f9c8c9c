"""Metrics, calibration, the test protocol and plots. The core never imports it."""

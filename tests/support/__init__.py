"""Makers of test data and independent readers that the package is compared with."""

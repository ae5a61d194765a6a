"""Ringfence, a privacy-aware routing proxy."""

"""JSON and wire endpoints."""

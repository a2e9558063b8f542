"""What a request for a page gets: one module a page."""

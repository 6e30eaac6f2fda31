"""Telling a story: text, Markdown, JSON, and a page for the browser."""

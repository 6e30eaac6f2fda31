"""A story as a page for the browser: one file that needs nothing else.

`page.story_html` joins it.  The document is complete without JavaScript; the scripts
beside this file make the timeline zoomable.
"""

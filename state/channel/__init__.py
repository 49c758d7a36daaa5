"""The channel beside the pages: decisions in, strips and queue items out, without a rerun.

``routes.routes(store)`` is the way in; ``docs/reading.md`` says what is spoken.
"""

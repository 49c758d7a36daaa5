"""What is remembered: studies, files, runs, jobs, decisions, models, alerts and readers.

``store.open_store()`` is the way in. Nothing here imports streamlit except ``session``.
"""

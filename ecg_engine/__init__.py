"""Reading short single-lead ECG strips: the pipeline in plain Python.

Arrays and tables in, arrays and tables out. The modules, in the order in which data flows: labels, config,
strips (reading), conditioning, rpeaks, beats, quality, clusters, prototypes, windows, mining, preprocess
(which calls them in order), models, training, prediction, alerts, evaluation, artifacts (files), figures
(plotly), simulate, cli.
"""

__version__ = "0.1.0"

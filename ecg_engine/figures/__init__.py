"""What people look at: plotly figures, small multiples in SVG, and the PNG artefacts of a run."""

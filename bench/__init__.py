"""One script a claim. Each prints the table that the docs quote; speed is given as ratios within one run."""

"""The arrhythmia profile: beats and findings that hold on patients never seen (issue 4)."""

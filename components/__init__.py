"""What the pages share on the screen: frames, panels, and the parts that run in the browser."""

"""``incumbent demo``: a year of real flights played against a real server over HTTP."""

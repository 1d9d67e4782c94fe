"""Policy replay: whole policies over a stored or uploaded stream, in a child process."""
